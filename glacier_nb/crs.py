"""Metres or a refusal: lengths and areas on a map that has none are refused; a polar map's scale is taken out."""

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from odc.geo.geobox import GeoBox


def metres(thing: gpd.GeoDataFrame | gpd.GeoSeries | GeoBox) -> None:
    """Refuse a missing CRS, degrees, feet and Web Mercator: ValueError naming the UTM or polar code to use."""
    if thing.crs is None:
        raise ValueError("no CRS: lengths and areas need one; set it with .set_crs('EPSG:...')")
    crs = pyproj.CRS(thing.crs.to_wkt())
    web = crs.coordinate_operation is not None and "Pseudo" in crs.coordinate_operation.method_name
    if crs.is_projected and not web and crs.axis_info[0].unit_conversion_factor == 1:
        return
    boxes = np.array([thing.boundingbox.bbox]) if isinstance(thing, GeoBox) else thing.bounds.dropna().to_numpy()
    degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    lon, lat = degrees.transform((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    turn = np.exp(1j * np.radians(lon)).sum()  # places on both sides of the date line are near each other
    lon, lat = np.degrees(np.angle(turn)), lat.mean() if len(lat) else 0.0
    utm = (32600 if lat >= 0 else 32700) + int((lon + 180) // 6) % 60 + 1
    code = 3413 if lat > 84 else 3031 if lat < -80 else utm
    raise ValueError(f"{crs.name}: lengths and areas need metres; reproject with .to_crs('EPSG:{code}')")


def scale(frame: gpd.GeoDataFrame | gpd.GeoSeries) -> np.ndarray:
    """Area on the map / area on the ground, one per row; its square root is the scale of lengths.

    1 where within 0.2 %, as in UTM; polar stereographic (EPSG:3413) is 4 % small at 79 N, EPSG:3031 6 % large at 63 S.
    """
    if not len(frame):
        return np.ones(0)
    box = frame.bounds.to_numpy()
    degrees = pyproj.Transformer.from_crs(frame.crs, frame.crs.geodetic_crs, always_xy=True)
    lon, lat = degrees.transform((box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2)
    areal = np.asarray(pyproj.Proj(frame.crs).get_factors(lon, lat).areal_scale)
    return np.where(np.isfinite(areal) & (np.abs(areal - 1) > 0.002), areal, 1.0)


def on_globe(shape: shapely.Geometry | None) -> tuple[float, float]:
    """Area (m2) and perimeter (m) of a lon/lat shape on WGS 84, however its rings are wound; 0 of lines and points.

    >>> area, around = on_globe(shapely.box(0, 0, 1, 1))
    >>> round(area / 1e6), round(around / 1e3)
    (12309, 444)
    """
    globe, area, length = pyproj.Geod(ellps="WGS84"), 0.0, 0.0
    for part in [] if shape is None else shapely.get_parts(shapely.get_parts([shape])):
        if part.geom_type == "Polygon":
            outer, around = globe.geometry_area_perimeter(shapely.Polygon(part.exterior))
            holes = [globe.geometry_area_perimeter(shapely.Polygon(hole)) for hole in part.interiors]
            area += abs(outer) - sum(abs(hole) for hole, _ in holes)
            length += around + sum(edge for _, edge in holes)
    return area, length
