"""Systems that map glacier extent from images and terrain, one row each; those that join sensors: `systems_sensors`."""

import functools

from torch import Tensor
from torch.optim import Adam, AdamW

from glacier_nb import clean, crf, drainage, losses, objects, recipes
from glacier_nb.networks import later
from glacier_nb.networks.chu2022 import AttentionDeepLab
from glacier_nb.networks.fcdensenet import FCDenseNet
from glacier_nb.networks.joined import Fusion, Stretched
from glacier_nb.networks.obia_cnn import HeatMap
from glacier_nb.networks.r2unet import R2UNet
from glacier_nb.networks.segnet import SegNet
from glacier_nb.networks.smp import Smp
from glacier_nb.networks.threshold import BandRatio, Threshold
from glacier_nb.networks.tian2022 import GatedUNet
from glacier_nb.networks.unet import UNet
from glacier_nb.recipes import Recipe, System

GLACIER = ("rock", "glacier")
TIDY = ((clean.specks, {"min_area": 10_000.0}),)
FILLED = (*TIDY, (clean.holes, {"max_area": 10_000.0}))
EIGHT = tuple(range(8))
BCE = ((losses.binary_cross_entropy, 1.0, {}),)
RANDOM = "weights start at random, but for an encoder that systems.pretrained knows and a run asks for"
OURS = "batch, length of training and augmentation are plain choices"
SADI = "the formula of sadi is ours"
ABLATION = "the paper's labels hold the ablation zone alone, the zone glacier here is what the labels given to it hold"

XIE = (
    *("coastal", "blue", "green", "red", "nir", "swir16", "swir22", "pan", "cirrus", "lwir11", "lwir12"),
    *("elevation", "slope", "sadi", "profile_curvature", "tangential_curvature", "unsphericity_curvature"),
)
"""The 17 inputs of Xie et al.: Landsat 8, a DEM and five of its derivatives."""


def fused(zones: Tensor, members: Tensor) -> dict[str, Tensor]:
    """One score as the probabilities of no ice and ice; "glaciernet" is the first member's own probability of ice."""
    return {**recipes.two_zones(zones), "glaciernet": members[:, :1].sigmoid()}


_xception = functools.partial(Smp, terms={"zones": 1}, architecture="DeepLabV3Plus", encoder="tu-xception65")
_xie_recipe = Recipe(patch=512, batch=4, epochs=100, optimiser=functools.partial(Adam, lr=1e-3), symmetries=EIGHT)
_xie2021 = functools.partial(
    System,
    citation="Xie et al. 2021: five networks compared on the central Karakoram, by the review of Diaconu et al.",
    task="extent",
    inputs=XIE,
    finish=recipes.two_zones,
    zones=GLACIER,
    loss=BCE,
    recipe=_xie_recipe,
    departs=f"no code: the size of each network, patch, loss, optimiser, {OURS}; {SADI}; {RANDOM}; {ABLATION}",
)

_tian2022 = functools.partial(
    System,
    citation="Tian et al. 2022, doi:10.1080/17538947.2022.2036834",
    task="extent",
    inputs=("coastal", "blue", "green", "red", "nir", "swir16", "swir22", "elevation"),
    finish=recipes.two_zones,
    zones=GLACIER,
    loss=BCE,
    recipe=Recipe(patch=256, batch=8, epochs=100, optimiser=functools.partial(Adam, lr=1e-4), symmetries=EIGHT),
)
_chu2022 = functools.partial(
    System,
    citation="Chu et al. 2022, doi:10.5194/tc-16-4273-2022",
    task="extent",
    inputs=("blue", "green", "red", "nir"),  # Gaofen-6, pan-sharpened to 2 m
    finish=recipes.two_zones,
    zones=GLACIER,
    loss=((losses.foreground_dice, 0.5, {}), (losses.binary_cross_entropy, 0.5, {})),
    recipe=Recipe(
        patch=1024,
        batch=10,
        epochs=62,
        optimiser=functools.partial(AdamW, lr=1e-4, weight_decay=1e-3),
        schedule=functools.partial(recipes.restarts, ends=(2 / 62, 6 / 62, 14 / 62, 30 / 62, 1.0), floor=0.01),
        symmetries=(0, 1, 2, 3, 4, 6),
    ),
    mean=(0.0,) * 4,
    std=(1.0,) * 4,
    views=(0, 1, 2, 3, 4, 6),
)
_peng2023 = functools.partial(
    System,
    citation="Peng et al. 2023: Swin-Unet with Twins on the Qilian mountains, by the review of Diaconu et al.",
    task="extent",
    inputs=("red", "green", "blue", "nir", "swir16", "ndvi", "ndwi", "ndsi", "vv_db", "vh_db", "elevation"),
    finish=recipes.exclusive_zones,
    zones=GLACIER,
    loss=((losses.dice, 1.0, {}), (losses.cross_entropy, 1.0, {})),
    recipe=Recipe(
        patch=224,
        batch=24,
        epochs=150,
        optimiser=functools.partial(AdamW, lr=1e-4, weight_decay=0.01),
        symmetries=EIGHT,
    ),
)
_resnet34 = functools.partial(Smp, terms={"zones": 1}, architecture="DeepLabV3Plus", encoder="resnet34")
_resnet18 = functools.partial(Smp, terms={"zones": 1}, encoder="resnet18")
_AS_CHU = "recipe and views were not read: chu2022's, and departs as it does; layers are smp's, weights start at random"

ROWS = (
    System(
        name="band-ratio",
        citation="Paul et al. 2013, doi:10.3189/2013AoG63A296; threshold: Diaconu et al., review chapter, figure 1",
        task="extent",
        inputs=("red", "swir16"),
        network=functools.partial(BandRatio, value=2.8),
        finish=recipes.two_zones,
        zones=GLACIER,
        clean=((clean.median, {"size": 3}), *TIDY),
        departs="one threshold for all scenes, 2.8 as shown for Vadret da Misaun; in practice it is picked per scene",
        mean=(0.0, 0.0),
        std=(1.0, 1.0),
        reference_parameters=0,
    ),
    System(
        name="ndsi",
        citation="Dozier 1989, doi:10.1016/0034-4257(89)90101-6",
        task="extent",
        inputs=("ndsi",),
        network=functools.partial(Threshold, value=0.4),
        finish=recipes.two_zones,
        zones=GLACIER,
        clean=((clean.median, {"size": 3}), *TIDY),
        departs="snow, water and clouds that pass 0.4 are kept: the plain baseline",
        mean=(0.0,),
        std=(1.0,),
        reference_parameters=0,
    ),
    System(
        name="glaciernet",
        citation="Xie et al. 2020, IEEE Access 8, 83495",
        task="extent",
        inputs=XIE,
        network=SegNet,
        finish=recipes.two_zones,
        zones=GLACIER,
        loss=BCE,
        recipe=_xie_recipe,
        clean=(*FILLED, (clean.lake_termini, {})),
        reads=("ndwi",),
        departs="no code: the layers are VGG16's, where the authors tuned type, number, filters and depth; what is"
        f" small enough to drop or fill, loss, patch, optimiser, {OURS}; {SADI}; {ABLATION}",
        reference_parameters=29_451_649,
        scores="IoU 0.841, F1 0.914 (17 inputs); IoU 0.809, F1 0.895 (Landsat and DEM)",
    ),
    _xie2021(
        name="xie2021_mobile_unet",
        network=functools.partial(Smp, terms={"zones": 1}, encoder="mobilenet_v2"),
        reference_parameters=6_632_977,
    ),
    _xie2021(
        name="xie2021_res_unet",
        network=functools.partial(Smp, terms={"zones": 1}, encoder="resnet34"),
        reference_parameters=24_480_273,
    ),
    _xie2021(name="xie2021_r2unet", network=R2UNet, reference_parameters=39_092_289),
    _xie2021(
        name="xie2021_fcdensenet57",
        network=FCDenseNet,
        finish=recipes.exclusive_zones,
        loss=((losses.cross_entropy, 1.0, {}),),
        reference_parameters=1_381_106,
    ),
    _xie2021(
        name="xie2021_fcdensenet103",
        network=functools.partial(FCDenseNet, growth=16, layers=(4, 5, 7, 10, 12), neck=15),
        finish=recipes.exclusive_zones,
        loss=((losses.cross_entropy, 1.0, {}),),
        reference_parameters=9_325_826,
    ),
    _xie2021(
        name="xie2021_deeplabv3plus_xception65",
        network=_xception,
        reference_parameters=41_040_897,
        scores="IoU 0.862",
    ),
    System(
        name="glaciernet2",
        citation="Xie et al. 2022, International Journal of Applied Earth Observation and Geoinformation,"
        " arXiv:2204.05818",
        task="extent",
        inputs=XIE,
        network=functools.partial(Fusion, members=(SegNet, _xception)),
        finish=fused,
        zones=GLACIER,
        loss=(*BCE, (losses.deep, 1.0, {"loss": losses.binary_cross_entropy})),
        recipe=_xie_recipe,
        clean=(
            *FILLED,
            (objects.second_opinion, {"other": "glaciernet", "neighbours": 5, "inputs": XIE, "first": FILLED}),
            (drainage.accumulation, {"threshold": 0.4}),
        ),
        reads=("ndsi",),
        opinions=("glaciernet",),
        departs="members and fusion learn at once, the fusion's loss kept from the members, where the paper trains them"
        " one after the other; how many vote at the termini, by which inputs and how far from the lowest ice, the"
        " threshold of snow, the way water flows, what is small enough to drop or fill, loss, patch, optimiser,"
        f" {OURS}; {SADI}; {RANDOM}; {ABLATION}",
        reference_parameters=29_451_649 + 41_040_897 + 3,
        scores="ablation zone IoU 0.884, F1 0.938; complete outlines IoU 0.862",
    ),
    _tian2022(
        name="tian2022",
        network=functools.partial(GatedUNet, terms={"zones": 1}, norm=True, up="transposed"),
        clean=((crf.dense_crf, {"image": ("red", "green", "blue")}),),
        departs=f"no code: which bands, widths, the random field's kernels, patch, loss, optimiser, {OURS}",
        reference_parameters=32_795_713,
        scores="F1 0.898 (0.895 before the random field)",
    ),
    _tian2022(
        name="tian2022_unet",
        network=functools.partial(UNet, terms={"zones": 1}, norm=True, up="transposed"),
        departs="as tian2022, but for the random field, which it has not",
        reference_parameters=31_046_401,
        scores="F1 0.889",
    ),
    _chu2022(
        name="chu2022",
        network=functools.partial(Stretched, network=AttentionDeepLab),
        departs="Dice on the chance, not on the released script's argmax, which has no gradient; symmetries drawn, not"
        " written beforehand; 62 epochs, five cycles of the schedule, are a plain choice; minimum and maximum per"
        " window and band; windows overlap and blend, where the paper keeps the middle 90 % of each, 26 pixels off",
        reference_parameters=25_670_628,
        scores="F1 0.985",
    ),
    _chu2022(
        name="chu2022_deeplabv3plus",
        network=functools.partial(Stretched, network=_resnet34),
        departs=f"{_AS_CHU}; which encoder was not read: ResNet34, as chu2022's is like",
        reference_parameters=22_440_593,
        scores="F1 0.983",
    ),
    _chu2022(
        name="chu2022_unet_resnet18",
        network=functools.partial(Stretched, network=_resnet18),
        departs=_AS_CHU,
        reference_parameters=14_331_345,
        scores="F1 0.978",
    ),
    _peng2023(
        name="peng2023",
        network=later("peng2023.SwinTwins"),
        departs="no code: widths as Swin-Unet's, one local-global block behind each pair of Twins blocks, patch, loss,"
        f" optimiser, {OURS}; radar in dB; {RANDOM}",
        scores="F1 0.843",
    ),
    _peng2023(
        name="peng2023_swin_unet",
        network=later("swin_unet.SwinUnet"),
        departs="as peng2023; the network is that of Swin-Unet's released code",
        reference_parameters=27_180_516,
        scores="F1 0.829",
    ),
    System(
        name="thomas2023",
        citation="Thomas et al. 2023, doi:10.3389/frsen.2023.1161530",
        task="extent",
        inputs=(
            *("blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "nir08", "swir16", "swir22"),
            *("ndvi", "ndwi", "ndsi", "coherence", "lwir11", "elevation", "slope"),
            *("profile_curvature", "planform_curvature", "aspect", "hillshade"),
        ),
        network=functools.partial(HeatMap, scores=7),
        finish=recipes.exclusive_zones,
        zones=("rock", "glacier", "debris cover", "lake", "snow", "vegetation", "shadow"),
        loss=((losses.cross_entropy, 1.0, {}),),
        recipe=Recipe(patch=128, batch=16, epochs=50, optimiser=functools.partial(Adam, lr=1e-3), symmetries=EIGHT),
        clean=(
            (objects.mean_heat, {"image": ("green", "red", "nir", "swir16", "slope")}),
            (objects.within, {"layer": "slope", "high": 24.0, "names": ("debris cover",)}),
            (objects.within, {"layer": "ndwi", "high": 0.3, "names": ("debris cover",)}),
            (objects.beside, {"names": ("debris cover",), "to": ("glacier", "snow")}),
            *FILLED,
        ),
        departs="layer sizes, the coding of aspect (degrees), the rules on objects, patch, loss, optimiser,"
        f" {OURS}; superpixels stand in for eCognition's segments; rock is the paper's class of"
        " non-glacial ground, glacier its clean ice",
        reference_parameters=247_623,
        scores="F1 0.892 to 0.937",
    ),
)
"""In the order that tables show them."""
