"""Where authors publish trained weights that are not fetched by name here: repository, format, licence.

A file fetched from there is given by its path, with the system it is for; its tensors find their places by the map in
the network's own file. The files of these rows could not be fetched for this package, so none has a hash here, and
nothing tells whether a file is the authors' own: `weights.find` warns of it. What pins one: `weights.find` takes the
sha256 of the file that it is given, loading refuses a file that has changed since, and what it maps carries the hash
(attribute `weights_sha256`). A card beside the file that says {"sha256": ...} (`weights.find`) pins it from one day to
the next. The six files of Mohajerani et al. 2019 could be fetched: they are rows of `weights.WEIGHTS`, with url and
hash.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Publication:
    """One system's weights. form: what the file is. licence: of the code where the weights say nothing of their own."""

    system: str
    repository: str
    form: str
    licence: str


_ZIP = "PyTorch checkpoint (.pth, .ckpt)"
_MIT = "MIT (code; weights not told)"
_NONE = "none told: ask the authors before you share what it maps"

PUBLISHED = (
    Publication("calfin", "github.com/daniel-cheng/CALFIN", "Keras HDF5", _MIT),
    Publication("loebel2022", "github.com/eloebel/glacier-front-extraction", "Keras HDF5", _MIT),
    Publication("zhang2021", "github.com/enzezhang/FrontDL3", _ZIP, _NONE),
    Publication("autoterm", "github.com/enzezhang/AutoTerm", _ZIP, _NONE),
    Publication("hed_unet_hh_hv", "github.com/khdlr/HED-UNet", _ZIP, _MIT),
    Publication("caffe_zones", "github.com/Nora-Go/Calving_Fronts_and_Where_to_Find_Them", _ZIP, _MIT),
    Publication("caffe_fronts", "github.com/Nora-Go/Calving_Fronts_and_Where_to_Find_Them", _ZIP, _MIT),
    Publication(
        "cobra",
        "github.com/khdlr/COBRA",
        "a pickle of JAX arrays, to be saved as safetensors by its own code and tensors.flat",
        _MIT,
    ),
    Publication("amd_hooknet", "github.com/RiverNA/AMD-HookNet", _ZIP, _MIT),
    Publication("hookformer", "github.com/RiverNA/HookFormer", _ZIP, _MIT),
    Publication("amd_hooknet_pp", "github.com/RiverNA/AMD-HookNet-plus", _ZIP, _MIT),
    Publication("diaconu2023", "github.com/dcodrut/glacier_mapping_alps_tccml", _ZIP, _MIT),
    Publication("dl4gam", "huggingface.co/dcodrut/dl4gam_alps", _ZIP, _MIT),
)
"""In the order of `systems.SYSTEMS`."""


def hint(system: str) -> str:
    """Where a system's weights are to be had, as the end of a message; "" where nobody publishes any.

    >>> hint("calfin")
    '; its authors publish some at github.com/daniel-cheng/CALFIN (Keras HDF5): fetch them and give the path'
    """
    row = next((row for row in PUBLISHED if row.system == system), None)
    return f"; its authors publish some at {row.repository} ({row.form}): fetch them and give the path" if row else ""


def licence(system: str) -> str:
    """Licence of the weights that a system's authors publish; "" where nobody publishes any.

    >>> licence("hed_unet_hh_hv")
    'MIT (code; weights not told)'
    """
    return next((row.licence for row in PUBLISHED if row.system == system), "")
