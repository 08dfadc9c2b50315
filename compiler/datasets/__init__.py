"""Data sets: what is calibrated, evaluated and tuned on."""

from compiler.datasets.coco import read_coco
from compiler.datasets.dataset import Dataset, Item, KeypointTruth, ObjectTruth, SolidTruth, TextTruth
from compiler.datasets.icdar import read_icdar, read_icdar_folder, read_icdar_words
from compiler.datasets.kitti import read_kitti, read_kitti_images
from compiler.datasets.labelme import read_labelme
from compiler.datasets.lists import read_folder, read_list
from compiler.datasets.mmocr import read_mmocr, read_mmocr_lines
from compiler.datasets.nuscenes import read_nuscenes
from compiler.datasets.via import read_via
from compiler.datasets.voc import read_voc
from compiler.datasets.yolo import read_yolo

__all__ = [
    "Dataset",
    "Item",
    "KeypointTruth",
    "ObjectTruth",
    "SolidTruth",
    "TextTruth",
    "read_coco",
    "read_folder",
    "read_icdar",
    "read_icdar_folder",
    "read_icdar_words",
    "read_kitti",
    "read_kitti_images",
    "read_labelme",
    "read_list",
    "read_mmocr",
    "read_mmocr_lines",
    "read_nuscenes",
    "read_via",
    "read_voc",
    "read_yolo",
]
