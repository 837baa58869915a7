"""Systems that map glacier extent from several sensors, each read by layers of its own, one row each."""

import functools

from torch.optim import Adam

from glacier_nb import augment, losses, recipes
from glacier_nb.networks import glavitu, glavitu_peers, later, placed
from glacier_nb.recipes import Recipe, System

_OPTICAL = ("blue", "green", "red", "nir", "swir16", "swir22")
_LOW = (-0.00373555, -0.01996775, -0.01857444, -0.02698885, -0.0254627, -0.02451179, -103.29675627, 0.0)
_HIGH = (2.0468, 2.1253, 2.2303, 2.6781, 2.1246, 2.1602, 8349.42706884, 88.97835244)
_SPAN = tuple(round(high - low, 8) for low, high in zip(_LOW, _HIGH, strict=True))
_FOCAL = ((losses.focal, 1.0, {"gamma": 2.0}),)
_DEEP = {"loss": losses.focal, "options": {"gamma": 2.0}}
_SCALED = ((augment.scaled, 0.5, {"low": 0.8}),)
_ADAM = functools.partial(Adam, lr=5e-4)

_maslov2023 = functools.partial(
    System,
    citation="Maslov et al. 2023, GlaViTU, IGARSS 2023, pages 1233-1236",
    task="extent",
    inputs=(*_OPTICAL, "elevation", "slope", "vv_log", "vh_log"),
    finish=recipes.exclusive_zones,
    zones=("rock", "glacier"),
    loss=_FOCAL,
    recipe=Recipe(
        patch=384,
        batch=8,
        epochs=2000,  # at most 1000 of their epochs, which go twice through the area
        optimiser=_ADAM,
        schedule=functools.partial(recipes.plateau, patience=10, factor=0.1, warm=1 / 1000),
        validations=1000,
        patience=31,
        symmetries=tuple(range(8)),
        augment=_SCALED,
    ),
)
_maslov2024 = functools.partial(
    System,
    citation="Maslov et al. 2025, Nature Communications 16, 43, arXiv:2401.15113",
    task="extent",
    inputs=(*_OPTICAL, "elevation", "slope"),
    finish=recipes.exclusive_zones,
    zones=("rock", "glacier"),
    loss=_FOCAL,
    recipe=Recipe(
        patch=384,
        batch=8,
        epochs=600,  # 150 of their epochs, which go four times through the area
        optimiser=_ADAM,
        schedule=functools.partial(recipes.restarts, ends=(10 / 150, 30 / 150, 70 / 150, 1.0)),
        symmetries=tuple(range(8)),
        augment=_SCALED,
    ),
    mean=_LOW,
    std=_SPAN,
)
_REGIONS = (*(f"region_{number}" for number in range(11)), "region_unknown")
_RADAR = (
    *(f"{pol}_{orbit}_log" for pol in ("copol", "crosspol") for orbit in ("ascending", "descending")),
    *("coherence_ascending", "coherence_descending"),
)
_READ = "layers read from the parameter counts of the released code"

ROWS = (
    _maslov2023(
        name="glavitu_2023",
        network=glavitu.glavitu_2023,
        loss=(*_FOCAL, (losses.deep, 1.0, _DEEP)),
        departs="radar as logarithms of VV and VH; least validation loss kept, not most IoU; scaled labels are the"
        " nearest pixel's, not bilinear",
        reference_parameters=10_046_276,
        scores="mean IoU 0.875",
    ),
    _maslov2023(
        name="glavitu_2023_resunet",
        network=glavitu_peers.resunet_2023,
        departs=f"as glavitu_2023; {_READ}",
        reference_parameters=32_593_922,
        scores="mean IoU 0.852",
    ),
    _maslov2023(
        name="glavitu_2023_setr_b16",
        network=glavitu_peers.setr_2023,
        departs=f"as glavitu_2023; {_READ}",
        reference_parameters=101_740_546,
    ),
    _maslov2023(
        name="glavitu_2023_transunet",
        network=glavitu_peers.transunet_2023,
        departs=f"as glavitu_2023; {_READ}: 576 positions, here resampled to the map at stride 8",
        reference_parameters=8_911_234,
        scores="mean IoU 0.863",
    ),
    _maslov2024(
        name="glavitu_2024",
        network=glavitu.glavitu_2024,
        loss=(*_FOCAL, (losses.deep, 0.5, _DEEP)),
        departs="least validation loss kept; Monte-Carlo passes are averaged plainly; windows overlap and blend, where"
        " the paper takes one every 192 pixels with Gaussian weights",
        reference_parameters=10_024_516,
        scores="IoU 0.894, mean over regions",
    ),
    _maslov2024(
        name="glavitu_2024_radar",
        inputs=(*_OPTICAL, "elevation", "slope", *_RADAR),
        network=functools.partial(glavitu.glavitu_2024, parts=(6, 2, 2, 2, 2)),
        loss=(*_FOCAL, (losses.deep, 0.5, _DEEP)),
        mean=(*_LOW, *(-6.0,) * 4, 0.0, 0.0),
        std=(*_SPAN, 7.75761249, 21.63508564, 7.38859078, 21.9050037, 0.99999938, 0.99999963),
        departs="as glavitu_2024; one network of all radar layers, where the paper compares sets of them",
        reference_parameters=10_164_676,
    ),
    _maslov2024(
        name="glavitu_2024_coordinates",
        inputs=(*_OPTICAL, "elevation", "slope", "latitude_sin", "latitude_cos", "longitude_sin", "longitude_cos"),
        network=functools.partial(placed.coordinates, network=glavitu.glavitu_2024),
        loss=(*_FOCAL, (losses.deep, 0.5, _DEEP)),
        mean=(*_LOW, *(0.0,) * 4),
        std=(*_SPAN, *(1.0,) * 4),
        departs="as glavitu_2024; the place is the scene's middle, not the patch's",
        reference_parameters=10_029_252,
    ),
    _maslov2024(
        name="glavitu_2024_region",
        inputs=(*_OPTICAL, "elevation", "slope", *_REGIONS),
        network=functools.partial(placed.region, network=glavitu.glavitu_2024),
        loss=(*_FOCAL, (losses.deep, 0.5, _DEEP)),
        mean=(*_LOW, *(0.0,) * 12),
        std=(*_SPAN, *(1.0,) * 12),
        departs="as glavitu_2024; a place is in no training region unless location.layers says in which, or"
        " location.settled finds its code (bias optimisation), by at most 64 windows spread over the scene",
        reference_parameters=10_029_764,
    ),
    _maslov2024(
        name="glavitu_2024_deeplabv3plus_resnest101",
        network=later("resnest.deeplab_2024"),
        departs=f"as glavitu_2024; {_READ}: which layers have biases, and stage 2 joined without projection",
        reference_parameters=50_969_762,
        scores="IoU 0.877, mean over regions",
    ),
    _maslov2024(
        name="glavitu_2024_resunet",
        network=glavitu_peers.resunet_2024,
        departs=f"as glavitu_2024; {_READ}",
        reference_parameters=32_572_162,
    ),
)
"""In the order that tables show them."""
