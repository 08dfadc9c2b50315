"""How the detection of objects in point clouds is proven."""

from compiler.proof.voxel_detection.voxels import VoxelDetectionProof

__all__ = [
    "VoxelDetectionProof",
]
