"""How networks write coordinates, and how to read them back.

The classes and their fields have the names of the codecs in OpenMMLab's configs, and compute what MMPose 1.3.2 does.
"""

from compiler.tasks.pose.codecs.codec import Codec
from compiler.tasks.pose.codecs.heatmap import MegviiHeatmap, MSRAHeatmap, UDPHeatmap
from compiler.tasks.pose.codecs.simcc import SimCCLabel

__all__ = ["Codec", "MSRAHeatmap", "MegviiHeatmap", "SimCCLabel", "UDPHeatmap"]
