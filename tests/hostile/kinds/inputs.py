"""What a network is run on: images, point clouds, arrays, and boxes."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from random import Random

import numpy as np

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import Seeds

FORMATS = ("png", "jpg", "bmp", "tif", "webp", "jp2", "ppm", "gif", "hdr", "exr", "pfm", "avif")


def image(random: Random, seeds: Seeds, folder: Path) -> Case:
    """An image that is damaged, of another kind, or says that it is huge."""
    suffix = random.choice(FORMATS)
    make = random.choice((_damaged, _damaged, _damaged, _huge_png, _huge_bmp, _huge_other, _exif, _odd_png))
    path = folder / f"image.{suffix}"
    path.write_bytes(make(random, seeds, suffix))
    name = random.choice(("pose", "pose", "reader", "text"))
    shutil.copytree(seeds.bundle(name), folder / "bundle")
    return Case(["predict", "bundle", path.name], said=make.__name__)


def _damaged(random: Random, seeds: Seeds, suffix: str) -> bytes:
    return mutate.content(random, _encoded(seeds, suffix))


def _encoded(seeds: Seeds, suffix: str) -> bytes:
    import cv2

    try:
        return cv2.imencode(f".{suffix}", cv2.imread(str(seeds.image)))[1].tobytes()
    except cv2.error:  # a format that this build of OpenCV cannot write
        return seeds.image.read_bytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, depth: int, colour: int, data: bytes, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _huge_png(random: Random, seeds: Seeds, suffix: str) -> bytes:
    side = random.choice((20_000, 32_767, 40_000, 65_535, 1_000_000, 2**31 - 1))
    return _png(side, random.choice((1, side)), 8, 2, zlib.compress(b"\0" * 1_000_000))


def _odd_png(random: Random, seeds: Seeds, suffix: str) -> bytes:
    width, height = random.choice((0, 1, 2, 9)), random.choice((0, 1, 3, 40_000))
    depth, colour = random.choice((1, 2, 4, 8, 16, 3)), random.choice((0, 2, 3, 4, 6, 5))
    row = b"\0" + b"\x80" * (width * 8)
    extra = random.choice(
        (b"", _chunk(b"PLTE", b"\0" * 9), _chunk(b"iCCP", b"x\0\0" + b"x" * 99), _chunk(b"tEXt", b"a\0b"))
    )
    return _png(width, height, depth, colour, zlib.compress(row * height), extra)


def _huge_bmp(random: Random, seeds: Seeds, suffix: str) -> bytes:
    side = random.choice((30_000, -30_000, 2**31 - 1, -(2**31)))
    head = struct.pack(
        "<IiiHHIIiiII", 40, side, random.choice((side, 1)), 1, random.choice((24, 8, 1)), 0, 0, 0, 0, 0, 0
    )
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + b"\0" * 100


def _huge_other(random: Random, seeds: Seeds, suffix: str) -> bytes:
    side = random.choice((30_000, 60_000, 2**31 - 1))
    return random.choice(
        (
            f"P6\n{side} {side}\n255\n".encode() + b"\0" * 100,
            f"P1\n{side} {side}\n".encode() + b"0 1 " * 100,
            f"PF\n{side} {side}\n-1.0\n".encode() + b"\0" * 100,
            f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {side} +X {side}\n".encode() + b"\0" * 100,
            b"GIF89a"
            + struct.pack("<HH", 65_535, 65_535)
            + b"\xf0\0\0"
            + b"\0" * 6
            + b",\0\0\0\0\xff\xff\xff\xff\0\2\0;",
            b"%PDF-1.7\n",
            b"<svg xmlns='http://www.w3.org/2000/svg' width='99999' height='99999'/>",
            b"",
            b"\0",
        )
    )


def _exif(random: Random, seeds: Seeds, suffix: str) -> bytes:
    """A JPEG that says how it is turned, in a damaged way."""
    jpeg = _encoded(seeds, "jpg")
    tag = struct.pack(
        "<HHII", 0x0112, random.choice((3, 4, 9)), random.choice((1, 2**31)), random.choice((6, 99, 0, 2**31))
    )
    tiff = (
        b"II*\0" + struct.pack("<I", random.choice((8, 0, 2**31))) + struct.pack("<H", random.choice((1, 60_000))) + tag
    )
    data = b"Exif\0\0" + tiff + struct.pack("<I", random.choice((0, 8)))
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def points(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A point cloud that is damaged, of another kind, or has odd numbers in it."""
    path = folder / "scan.bin"
    cloud = np.frombuffer(seeds.points.read_bytes()[: 16 * 500], np.float32).reshape(-1, 4).copy()
    with np.errstate(all="ignore"):
        match random.randrange(5):
            case 0:
                data = mutate.content(random, cloud.tobytes())
            case 1:
                numbers = (0, np.inf, np.nan, 1e38, -1e38, 1e-40, 2**31, -1)
                cloud[random.randrange(len(cloud)), random.randrange(4)] = random.choice(numbers)
                data = cloud.tobytes()
            case 2:
                data = (cloud * np.float32(random.choice((0, 1e30, -1, 1e-30)))).tobytes()
            case 3:
                data = random.choice(
                    (b"", b"ply\n", b"# .PCD v0.7\n", b"\x93NUMPY", b"\0" * 15, b"\0" * 16, b"\xff" * 64)
                )
            case _:
                data = np.repeat(cloud[:1], 30_000, 0).tobytes()
    path.write_bytes(data)

    def look() -> None:
        from compiler.config import compose
        from compiler.tasks import build_task

        config = compose(["model=pointpillars-kitti-car"])
        task = build_task(config.model.processing)
        task.preprocess(task.read(path), config.sizes)

    return Case(call=look)


def arrays(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A .npz or .npy that is damaged, holds other arrays, or an object."""
    path = folder / random.choice(("arrays.npz", "arrays.npz", "arrays.npy"))
    make = random.choice((_other_arrays, _other_arrays, _npy_header, _npy_header, _damaged_arrays, _zip_of_arrays))
    path.write_bytes(make(random, seeds, path.suffix))
    shutil.copytree(seeds.bundle("arrays"), folder / "bundle")
    words = ["predict", "bundle", path.name]
    if random.random() < 0.2:
        words.append("arrays=out.npz")
    return Case(words, said=make.__name__)


def _other_arrays(random: Random, seeds: Seeds, suffix: str) -> bytes:
    shapes = (
        (),
        (0,),
        (1,),
        (3, 256, 192),
        (1, 3, 256, 192),
        (0, 3, 256, 192),
        (9, 3, 256, 192),
        (1, 3, 256),
        (1,) * 32,
    )
    kinds = ("f4", "f8", "f2", "i1", "u8", "?", "S5", "U3", "c8", "O", "M8[s]", "V4", "f4,f4", ">f4")
    array = np.zeros(random.choice(shapes), random.choice(kinds))
    if array.dtype.kind == "f" and array.size and random.random() < 0.3:
        array.flat[0] = random.choice((np.nan, np.inf, 1e30 if array.dtype.itemsize > 2 else 1))
    file = io.BytesIO()
    if suffix == ".npy":
        np.save(file, array)
    else:
        names = ("input", "x", "../outside/made", "a/b", "allow_pickle", "é", "\x1b[31m", "")
        np.savez(file, **{"input" if random.random() < 0.6 else random.choice(names[2:]): array})
    return file.getvalue()


def _npy(header: str, data: bytes = b"\0" * 64) -> bytes:
    text = header.encode("latin-1", "replace") + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", min(len(text), 65_535)) + text + data


def _npy_header(random: Random, seeds: Seeds, suffix: str) -> bytes:
    shape = random.choice(
        ("(1,3,256,192)", "(10**9,)", "(99999999999,)", "(-1,)", "()", "(2**70,)", "(1,'a')", "__import__('os')")
    )
    kind = random.choice(
        ("'<f4'", "'|O'", "'|S99999999'", "'<U9999999'", "[('a','<f4')]", "'x'", "None", "'<f4,<f4'", "'|V9'")
    )
    header = f"{{'descr': {kind}, 'fortran_order': {random.choice((False, True, 3))}, 'shape': {shape}, }}"
    if random.random() < 0.2:
        header = random.choice(("{" * 500, "(" * 5000, "x" * 20_000, header * 3, "{'a': 1}", ""))
    data = _npy(header)
    if suffix == ".npy":
        return data
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("input.npy", data)
    return file.getvalue()


def _damaged_arrays(random: Random, seeds: Seeds, suffix: str) -> bytes:
    file = io.BytesIO()
    np.savez(file, input=np.zeros((1, 3, 8, 8), np.float32), other=np.arange(3))
    return mutate.content(random, file.getvalue())


def _zip_of_arrays(random: Random, seeds: Seeds, suffix: str) -> bytes:
    """Members that are no arrays, or unpack to far more than they are."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,3,9000,9000), }"
        bomb = _npy(header, b"\0" * (1 if random.random() < 0.5 else 100_000_000))
        member = random.choice((bomb, b"", b"x", b"\x93NUMPY", b"\x93NUMPY\x09\0\0\0", b"PK\x03\x04", b"\x80\x04c"))
        archive.writestr(random.choice(("input.npy", "input", "../outside/made.npy", "/etc/x.npy")), member)
    return file.getvalue()


def boxes(random: Random, seeds: Seeds, folder: Path) -> Case:
    """Boxes as text, or in a JSON file."""
    shutil.copytree(seeds.bundle("pose"), folder / "bundle")
    shutil.copyfile(seeds.image, folder / "image.png")
    if random.random() < 0.5:
        numbers = [
            str(random.choice((*mutate.NUMBERS[:28], *mutate.TEXTS[:40], 1, 2, 50, 60)))
            for _ in range(random.choice((4, 4, 3, 5)))
        ]
        box = ",".join(numbers)
    else:
        box = "boxes.json"
        root = mutate.tree(random, random.choice(([[1, 2, 50, 60]], [1, 2, 50, 60], {"boxes": [[1, 2, 50, 60]]})))
        text = mutate.as_json(root)
        data = text.encode("utf-8", "surrogatepass")
        (folder / box).write_bytes(mutate.content(random, data) if random.random() < 0.2 else data)
    words = ["predict", "bundle", "image.png", f"box={box}"]
    if random.random() < 0.3:
        words.append("picture=" + random.choice(("out.png", "out.xyz", "out", "missing/out.png", ".", "out.jpg/x.jpg")))
    return Case(words)
