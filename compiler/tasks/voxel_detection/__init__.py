"""Objects of known classes, in point clouds."""

from compiler.tasks.voxel_detection.task import Detection3D, PreparedVoxels, VoxelDetection

__all__ = [
    "Detection3D",
    "PreparedVoxels",
    "VoxelDetection",
]
