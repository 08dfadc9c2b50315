"""Every kind of image ends as three channels of eight bits, and what is none is explained."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from compiler.config.limits import Limits
from compiler.errors import CompileError
from compiler.tasks.images import HEADER, image_size, read_image, write_image

RAMP = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3) * 10


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "new folder" / "фото 写真.png"
    write_image(path, RAMP)
    np.testing.assert_array_equal(read_image(path), RAMP)
    np.testing.assert_array_equal(read_image(str(path)), RAMP)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (RAMP[..., 0], np.repeat(RAMP[..., :1], 3, axis=2)),
        (RAMP[..., :1], np.repeat(RAMP[..., :1], 3, axis=2)),
        (np.dstack([RAMP, RAMP[..., 0]]), RAMP),
        (RAMP.astype(np.uint16) * 257, RAMP),
        (RAMP, RAMP),
    ],
)
def test_grey_alpha_and_sixteen_bits(tmp_path, image, expected):
    path = tmp_path / "image.png"
    path.write_bytes(encoded(image))
    for source in (path, image):
        read = read_image(source)
        assert (read.dtype, read.flags.c_contiguous) == (np.uint8, True)
        np.testing.assert_array_equal(read, expected)


def turned(image: np.ndarray) -> bytes:
    """A JPEG with a minimal EXIF block that says: the first row is the right side (orientation 6, turn clockwise)."""
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    jpeg = encoded(image, ".jpg")
    return jpeg[:2] + exif + jpeg[2:]


def test_a_photograph_is_turned_upright(tmp_path):
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, :16] = 255
    path = tmp_path / "turned.jpg"
    path.write_bytes(turned(wide))
    upright = read_image(path)
    assert upright.shape == (48, 16, 3)
    assert upright[:16].mean() > 200
    assert upright[16:].mean() < 50


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp", ".jp2", ".ppm"])
def test_the_size_of_an_image_is_read_from_its_header(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    path.write_bytes(encoded(np.zeros((64, 96, 3), np.uint8), suffix))
    assert image_size(path) == (96, 64)


def test_the_size_of_a_photograph_is_that_of_the_upright_one(tmp_path):
    path = tmp_path / "turned.jpg"
    path.write_bytes(turned(np.zeros((16, 48, 3), np.uint8)))
    assert image_size(path) == (16, 48)


def test_the_size_may_stand_behind_much_else(tmp_path):
    path = tmp_path / "image.jpg"
    comment = b"\xff\xfe" + (65535).to_bytes(2, "big") + bytes(65533)
    path.write_bytes(jpeg_of((7, 9), comment * (HEADER // 65535 + 1)))
    assert image_size(path) == (9, 7)


@pytest.mark.parametrize(
    ("content", "what"), [(None, "does not exist"), (b"", "is empty"), (b"not an image", "cannot be decoded")]
)
def test_what_has_no_size_is_explained(tmp_path, content, what):
    path = tmp_path / "image.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CompileError, match=what):
        image_size(path)
    with pytest.raises(CompileError, match="is a folder"):
        image_size(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "does not exist"), (b"", "is empty"), (b"not an image", "cannot be decoded"), ("cut", "cannot be decoded")],
)
def test_a_file_that_is_no_image_is_explained(tmp_path, content, what):
    path = tmp_path / "image.png"
    if content is not None:
        path.write_bytes(encoded(RAMP)[:20] if content == "cut" else content)
    with pytest.raises(CompileError, match=what) as caught:
        read_image(path)
    assert caught.value.where == str(path)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(CompileError, match="is a folder"):
        read_image(tmp_path)


def test_a_path_that_the_system_refuses_is_explained():
    with pytest.raises(CompileError, match="cannot be read"):
        read_image("nul\0character.png")
    with pytest.raises(CompileError, match="cannot be read") as caught:
        read_image(f"{'n' * 300}.png")
    assert caught.value.why == "File name too long"


@pytest.mark.parametrize(
    "array",
    [
        RAMP.astype(np.float32),
        RAMP.astype(np.int64),
        RAMP[None],
        RAMP[..., :2],
        RAMP[:0],
        np.array(3, np.uint8),
        np.array(["text"]),
    ],
)
def test_an_array_that_is_no_image_is_explained(array):
    with pytest.raises(CompileError, match="not an image") as caught:
        read_image(array)
    assert str(list(array.shape)) in caught.value.where


@pytest.mark.parametrize("name", ["image", "image.xyz"])
def test_a_suffix_must_name_a_format(tmp_path, name):
    with pytest.raises(CompileError, match="cannot be encoded"):
        write_image(tmp_path / name, RAMP)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    write_image(path, RAMP)

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(CompileError, match="cannot be written"):
        write_image(path, 255 - RAMP)
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(read_image(path), RAMP)


def test_the_sample_photograph_is_there(task):
    assert read_image(task.sample_source()).shape == (600, 512, 3)
    assert (task.sample_source().parent / "CREDITS").read_text().startswith("grace_hopper.jpg: ")


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size, and whose pixels are not there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9999)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def claiming(suffix: str, width: int, height: int) -> bytes:
    """Return a small image whose header claims to be another size: as its format's standard says where that stands."""
    data = bytearray(encoded(RAMP, suffix))
    if suffix == ".jpg":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = struct.pack(">HH", height, width)
    elif suffix == ".bmp":
        data[18:26] = struct.pack("<ii", width, -height)
    return bytes(data) if suffix != ".png" else png_of(width, height)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_an_image_that_claims_to_be_large_is_refused_before_it_is_decoded(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    path = tmp_path / f"image{suffix}"
    path.write_bytes(claiming(suffix, 30_000, 30_000))
    with pytest.raises(CompileError, match="the image is too large") as caught:
        read_image(path)
    assert caught.value.why == "it is 30000 x 30000 pixels, 900.0 megapixels, and limits.megapixels is 100"
    assert "limits.megapixels=901" in caught.value.fix
    # Beyond what OpenCV can hold, no limit helps.
    with pytest.raises(CompileError, match="the image is too large") as caught:
        read_image(path, Limits(megapixels=1000))
    assert "OpenCV holds no more than 715 megapixels" in caught.value.why


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp", ".jp2", ".ppm"])
def test_the_header_of_every_format_says_what_opencv_decodes(tmp_path, suffix):
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    path = tmp_path / f"image{suffix}"
    path.write_bytes(encoded(image, suffix))
    assert read_image(path, Limits(megapixels=6144e-6)).shape == image.shape
    with pytest.raises(CompileError, match="is too large"):
        read_image(path, Limits(megapixels=6143e-6))


def test_what_is_decoded_counts_where_a_header_is_read_differently(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    path.write_bytes(encoded(RAMP))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: np.zeros((2000, 2000, 3), np.uint8))
    with pytest.raises(CompileError, match="the image is too large"):
        read_image(path, Limits(megapixels=1))


@pytest.mark.parametrize("content", [b"<svg width='5' height='5'/>", b"<?xml version='1.0'?><svg/>", b"GIF89a", b"BM"])
def test_what_only_looks_like_an_image_is_not_decoded(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(CompileError, match="cannot be decoded"):
        read_image(path)


def test_an_array_has_the_same_limit_and_its_strides_do_not_matter():
    with pytest.raises(CompileError, match="is too large"):
        read_image(np.broadcast_to(np.uint8(0), (30_000, 30_000, 3)))
    for view in (RAMP[::-1, ::-1], np.asfortranarray(RAMP), np.repeat(RAMP, 2, 1)[:, ::2]):
        read = read_image(view)
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, view)


def jpeg_of(size: tuple[int, int], before: bytes = b"") -> bytes:
    """A small JPEG whose header says another size, behind what is given."""
    jpeg = encoded(np.zeros((8, 8, 3), np.uint8), ".jpg")
    at = jpeg.index(b"\xff\xc0")
    return jpeg[:at] + before + jpeg[at : at + 5] + struct.pack(">HH", *size) + jpeg[at + 9 :]


def test_a_jpeg_has_the_size_that_its_decoder_sees(tmp_path):
    """`ff 00` is no marker: a reader that takes it for a segment skips the real size behind it, for another."""
    path = tmp_path / "image.jpg"
    real = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 12_000, 12_000) + bytes(10)
    path.write_bytes(jpeg_of((8, 8), b"\xff\x00" + struct.pack(">H", 2 + len(real)) + real))
    with pytest.raises(CompileError, match="the image is too large") as caught:
        read_image(path)
    assert "12000 x 12000" in caught.value.why


@pytest.mark.parametrize("before", [b"", b"\xff\xfe\x00\x04\xff\xc0", b"\xff\xff\xff", b"\xff\x01"])
def test_what_stands_before_the_size_of_a_jpeg_is_skipped(tmp_path, before):
    path = tmp_path / "image.jpg"
    path.write_bytes(jpeg_of((8, 8), before))
    assert read_image(path).shape == (8, 8, 3)


@pytest.mark.parametrize("end", [2, 20, 160])
def test_a_jpeg_that_ends_before_its_size_is_damaged(tmp_path, end):
    path = tmp_path / "image.jpg"
    path.write_bytes(jpeg_of((8, 8))[:end])
    with pytest.raises(CompileError, match="cannot be decoded"):
        read_image(path)
