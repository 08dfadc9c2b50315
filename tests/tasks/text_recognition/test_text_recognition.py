"""A word is cropped, brought to the network's height, and read as MMOCR reads it."""

import json
import math

import cv2
import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.tasks import Sample, build_task
from compiler.tasks.images import read_image
from compiler.tasks.text_recognition import (
    PreparedTexts,
    Text,
    TextRecognition,
    drawable,
)
from compiler.tasks.text_recognition.dictionary import Dictionary
from tests.tasks.detectors import detector

CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
DYNAMIC = SizeRange((32, 32), (32, 100), (32, 640), (32, 4))
FIXED = SizeRange.exactly((32, 100))
BOX = np.array([[4, 5, 64, 45]], "f4")


@pytest.fixture(scope="module")
def node():
    return {
        "_target_": "compiler.tasks.text_recognition.TextRecognition",
        "dictionary": {"_target_": "compiler.tasks.text_recognition.dictionary.Dictionary", "characters": CHARACTERS},
        "height": 32,
        "min_width": 32,
        "max_width": None,
        "width_divisor": 16,
        "mean": 127,
        "std": 127,
    }


@pytest.fixture(scope="module")
def recognition(node) -> TextRecognition:
    return build_task(node)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (60, 300, 3), np.uint8)


def prepared(count=1, width=104, padded=104):
    tensors = {"input": np.zeros((count, 1, 32, padded), "f4")}
    return PreparedTexts(tensors, (width,) * count, np.zeros((count, 4), "f4"))


def written(text, columns=None):
    """Return probabilities that spell a text, `_` for the blank, one column a character."""
    classes = [(CHARACTERS + "_").index(character) for character in text]
    probabilities = np.full((1, columns or len(classes), len(CHARACTERS) + 1), 0.1 / 36, "f4")
    probabilities[0, range(len(classes)), classes] = 0.9
    return {"output": probabilities}


def test_the_model_config_holds_these_settings(node):
    assert detector("crnn") == build_task(node)


@pytest.mark.parametrize(("file", "raw"), [("decode/crnn", "raw.out"), ("crnn", "out.probs")])
def test_decoded_texts_equal_mmocrs(recognition, parity, file, raw):
    golden = json.loads((parity / f"{file}.json").read_text())["decode"]
    with np.load(parity / f"{file}.npz") as arrays:
        probabilities, scores = arrays[raw], arrays["decoded.char_scores"]
    (text,) = recognition.decode({"output": probabilities}, prepared())
    assert text.text == golden["text"]
    assert list(text.character_scores) == scores.tolist()
    assert text.score == pytest.approx(scores.mean())


def test_repeats_are_one_character_unless_a_blank_parts_them(recognition):
    (text,) = recognition.decode(written("__hhee_l_llo__"), prepared())
    assert text.text == "hello"
    assert text.character_scores == pytest.approx([0.9] * 5)


def test_a_column_is_as_sure_as_where_its_character_begins(recognition):
    outputs = written("aab")
    outputs["output"][0, 1, CHARACTERS.index("a")] = 0.99
    assert recognition.decode(outputs, prepared())[0].character_scores == pytest.approx([0.9, 0.9])


def test_nothing_but_blanks_is_an_empty_text(recognition):
    (text,) = recognition.decode(written("____"), prepared())
    assert (text.text, text.score, text.character_scores) == ("", 0.0, ())


def test_what_is_read_in_the_padding_is_dropped(recognition):
    (text,) = recognition.decode(written("abcdefgh"), prepared(width=40, padded=100))
    assert text.text == "abcd"  # of 8 columns, ceil(8 * 0.4)


def test_a_dictionary_for_another_network_is_refused_with_both_numbers(recognition):
    with pytest.raises(CompileError, match="tells 95 classes apart, and the dictionary names 37"):
        recognition.decode({"output": np.zeros((1, 4, 95), "f4")}, prepared())


@pytest.mark.parametrize("shape", [(4, 37), (2, 4, 37)])
def test_decoding_refuses_other_shapes(recognition, shape):
    with pytest.raises(ValueError, match="output is"):
        recognition.decode({"output": np.zeros(shape, "f4")}, prepared())


# Widths by MMOCR's RescaleToHeight: ceil(32 / h * w), bounded, and rounded to the nearest multiple of 16.
@pytest.mark.parametrize(
    ("size", "expected"),
    [((32, 100), 96), ((32, 104), 96), ((32, 105), 112), ((64, 20), 32), ((10, 123), 400), ((7, 700), 3200)],
)
def test_widths_are_mmocrs(recognition, size, expected):
    height, width = size
    assert recognition.width(np.zeros((height, width, 3), np.uint8)) == expected
    assert expected == round(max(math.ceil(32 / height * width), 32) / 16) * 16


@pytest.mark.parametrize(
    ("size", "sizes", "expected"),
    [
        ((32, 4000), DYNAMIC, 640),  # squeezed
        ((32, 400), FIXED, 96),  # squeezed, and still a multiple of 16
        ((32, 40), FIXED, 32),
        ((32, 500), SizeRange.exactly((32, 108)), 96),  # 112 would be nearer, and too wide
    ],
)
def test_a_crop_is_no_wider_than_the_engine(recognition, size, sizes, expected):
    assert recognition.width(np.zeros((*size, 3), np.uint8), sizes) == expected


def test_a_word_is_the_grey_resized_and_normalised_crop(recognition, image):
    found = recognition.preprocess(Sample(image, BOX))
    grey = cv2.resize(cv2.cvtColor(image[5:45, 4:64], cv2.COLOR_BGR2GRAY), (48, 32))
    np.testing.assert_array_equal(found.tensors["input"], ((grey.astype("f4") - 127) / 127)[None, None])
    assert found.widths == (48,)
    np.testing.assert_array_equal(found.boxes, BOX)


def test_no_box_means_the_whole_image(recognition, image):
    whole = recognition.preprocess(Sample(image, np.array([[0, 0, 300, 60]], "f4")))
    found = recognition.preprocess(Sample(image))
    np.testing.assert_array_equal(found.tensors["input"], whole.tensors["input"])
    np.testing.assert_array_equal(found.boxes, [[0, 0, 300, 60]])


def test_a_box_reaches_to_the_edges_of_its_pixels_and_of_the_image(recognition, image):
    inner = recognition.preprocess(Sample(image, np.array([[4.4, 5.9, 63.1, 44.2], [-9, 20, 400, 90]], "f4")))
    outer = recognition.preprocess(Sample(image, np.array([[4, 5, 64, 45], [0, 20, 300, 60]], "f4")))
    np.testing.assert_array_equal(inner.tensors["input"], outer.tensors["input"])


def test_crops_of_a_batch_are_padded_with_zeros_to_the_widest(recognition, image):
    boxes = np.array([[4, 5, 64, 45], [0, 0, 300, 60]], "f4")
    together = recognition.preprocess(Sample(image, boxes), DYNAMIC)
    narrow, wide = (recognition.preprocess(Sample(image, boxes[index : index + 1]), DYNAMIC) for index in range(2))
    assert together.widths == (*narrow.widths, *wide.widths) == (48, 160)
    np.testing.assert_array_equal(together.tensors["input"][:1, ..., :48], narrow.tensors["input"])
    np.testing.assert_array_equal(together.tensors["input"][1:], wide.tensors["input"])
    assert not together.tensors["input"][0, ..., 48:].any()


def test_an_engine_of_one_size_gets_that_size(recognition, image):
    found = recognition.preprocess(Sample(image, BOX), FIXED)
    assert found.tensors["input"].shape == (1, 1, 32, 100)
    assert found.widths == (48,)


@pytest.mark.parametrize(
    ("image", "boxes"),
    [
        (np.zeros((8, 8), np.uint8), None),
        (np.zeros((8, 8, 3), np.float32), None),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((0, 4), "f4")),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((1, 5), "f4")),
    ],
)
def test_preprocessing_refuses_other_shapes(recognition, image, boxes):
    with pytest.raises(ValueError, match=r"an image is|boxes are"):
        recognition.preprocess(Sample(image, boxes))


def test_a_text_says_which_of_all_boxes_it_is(recognition, image):
    boxes = np.array([[0, 0, 20, 20]] * 3, np.float32)
    part = list(Sample(image, boxes).parts(2))[1]
    ready = recognition.preprocess(part)
    output = np.zeros((1, 26, recognition.dictionary.num_classes), np.float32)
    assert [one.item for one in recognition.decode({"output": output}, ready)] == [2]


def test_texts_are_written_above_their_boxes(recognition, image):
    before = image.copy()
    drawn = recognition.draw(Sample(image), [Text("word", 1.0, (), np.array([50, 30, 120, 55], "f4"))])
    np.testing.assert_array_equal(image, before)
    assert drawn.shape == image.shape
    assert (drawn[10:28, 50:70] != image[10:28, 50:70]).any()
    assert drawable("naïve") == "na?ve"


def test_a_text_is_json(recognition):
    (text,) = recognition.decode(written("a_b"), prepared())
    assert json.loads(json.dumps(text.to_dict())) == {
        "text": "ab",
        "score": pytest.approx(0.9),
        "character_scores": pytest.approx([0.9, 0.9]),
        "box": [0, 0, 0, 0],
        "item": 0,
    }


def test_the_picture_that_stands_in_is_one_word(recognition):
    picture = read_image(recognition.sample_source())
    height, width = picture.shape[:2]
    assert width > 2 * height
    assert recognition.preprocess(Sample(picture), DYNAMIC).tensors["input"].std() > 0.3


@pytest.mark.parametrize("characters", ["", "aa"])
def test_a_dictionary_needs_characters_that_differ(characters):
    with pytest.raises(ValueError, match="characters must be unique"):
        Dictionary(characters)


@pytest.mark.parametrize("change", [{"height": 0}, {"min_width": 0}, {"width_divisor": 0}, {"std": 0}])
def test_settings_must_be_positive(node, change):
    with pytest.raises(UsageError) as error:
        build_task({**node, **change})
    assert "must be positive" in error.value.why
