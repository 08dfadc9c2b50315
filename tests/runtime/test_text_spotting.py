"""A detector finds the words of a page, and a recogniser reads each of them: stand-ins, and at the end real bundles."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from compiler import runtime
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.runtime.text_spotting import TextSpotter, cut_out, reading_order
from compiler.tasks.text_detection import TextDetection, TextInstance
from compiler.tasks.text_recognition import TextRecognition
from compiler.tasks.text_recognition.dictionary import Dictionary
from tests.cli.running import run_verb
from tests.tasks import pages
from tests.tiny_models import tiny_bundle

SIZES = SizeRange((32, 32), (32, 100), (32, 640), (32, 4))
WORDS = ("quick", "brown", "fox", "jumps", "1953")
CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
RECOGNITION = TextRecognition(Dictionary(CHARACTERS), 32, 32, None, 16, 127, 127)
DETECTION = object.__new__(TextDetection)


def upright(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], "f4")


def printed(word):
    """Return a word in black on white, [h, w, 3], with the space around it that MMOCR adds to a detected one."""
    font = ImageFont.load_default(40)
    left, top, right, bottom = font.getbbox(word)
    short = min(right - left, bottom - top)
    margins = round(0.4 * short), round(0.2 * short)
    picture = Image.new("RGB", (round(right - left) + 2 * margins[0], round(bottom - top) + 2 * margins[1]), "white")
    ImageDraw.Draw(picture).text((margins[0] - left, margins[1] - top), word, "black", font)
    return np.array(picture)


def turned(points, angle, center):
    matrix = cv2.getRotationMatrix2D(center, angle, 1)
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype("f4"), matrix


class Detector:
    """Finds what it is told to."""

    def __init__(self, *polygons, task=DETECTION, limits=DEFAULT_LIMITS):
        self.polygons, self.task, self.limits = polygons, task, limits

    def __call__(self, image):
        return [TextInstance(polygon, 0.9 - index / 100) for index, polygon in enumerate(self.polygons)]


class Reader:
    """Reads a crop as the word whose picture correlates most with it, each character as sure as they correlate."""

    task, sizes, batch = RECOGNITION, SIZES, 8

    def __init__(self):
        self.pictures = {word: RECOGNITION.prepare([printed(word)], sizes=SIZES).tensors["input"] for word in WORDS}
        self.batches = []

    def run(self, tensors):
        crops = tensors["input"]
        self.batches.append(crops.shape)
        output = np.full((len(crops), crops.shape[3] // 4 + 1, len(CHARACTERS) + 1), 1e-6, "f4")
        output[..., -1] = 1e-5
        for row, crop in zip(output, crops, strict=True):
            likeness = {word: self.likeness(crop[0], picture[0, 0]) for word, picture in self.pictures.items()}
            best = max(likeness, key=likeness.get)
            for place, character in enumerate(best):
                row[2 * place, CHARACTERS.index(character)] = likeness[best]
        return {"output": output}

    @staticmethod
    def likeness(crop, picture):
        scaled = cv2.resize(picture, crop.shape[::-1])
        return max(float(np.corrcoef(crop.ravel(), scaled.ravel())[0, 1]), 1e-4)


@pytest.fixture(scope="module")
def page():
    """A page with every word, and where their ink is."""
    image = np.full((420, 420, 3), 255, np.uint8)
    polygons = []
    for index, word in enumerate(WORDS):
        picture = printed(word)
        height, width = picture.shape[:2]
        left, top = 30 + 40 * index, 30 + 70 * index
        image[top : top + height, left : left + width] = picture
        ink = np.argwhere(picture[..., 0] < 128)
        (first_row, first_column), (last_row, last_column) = ink.min(axis=0), ink.max(axis=0) + 1
        polygons.append(upright(left + first_column, top + first_row, left + last_column, top + last_row))
    return image, polygons


@pytest.fixture
def spotter(page):
    return TextSpotter(Detector(*page[1]), Reader())


def test_every_word_of_a_page_is_read_where_it_was_found(spotter, page):
    image, polygons = page
    words = spotter(image)
    assert [word.text for word in words] == list(WORDS)
    for index, (word, polygon) in enumerate(zip(words, polygons, strict=True)):
        np.testing.assert_array_equal(word.polygon, polygon)
        assert word.detection_score == pytest.approx(0.9 - index / 100)
        assert word.score == pytest.approx(np.mean(word.character_scores))
        assert word.score > 0.5
        assert len(word.character_scores) == len(word.text)


@pytest.mark.parametrize("angle", [-40, -12, 12, 40, 90, -90])
def test_a_page_that_is_turned_is_read_too(page, angle):
    image, polygons = page
    corners = np.array([[0, 0], [420, 0], [420, 420], [0, 420]], "f4")
    _, matrix = turned(corners, angle, (210, 210))
    matrix[:, 2] += 100
    picture = cv2.warpAffine(image, matrix, (620, 620), borderValue=(255, 255, 255))
    moved = [(polygon @ matrix[:, :2].T + matrix[:, 2]).astype("f4") for polygon in polygons]
    words = TextSpotter(Detector(*moved), Reader())(picture)
    assert [word.text for word in words] == list(WORDS)


def test_a_page_without_text_has_no_words(page):
    reader = Reader()
    assert TextSpotter(Detector(), reader)(page[0]) == []
    assert reader.batches == []


def test_only_crops_of_one_width_share_a_batch(page):
    image, polygons = page
    reader = Reader()
    words = TextSpotter(Detector(*polygons, *polygons), reader)(image)
    assert [word.text for word in words] == [*WORDS, *WORDS]
    widths = [shape[3] for shape in reader.batches]
    assert len(set(widths)) == len(widths)
    assert sum(shape[0] for shape in reader.batches) == 2 * len(WORDS)


def test_what_is_higher_than_wide_is_read_in_three_turns_and_the_surest_counts():
    reader = Reader()
    picture = np.ascontiguousarray(np.rot90(printed("brown")))
    height, width = picture.shape[:2]
    (word,) = TextSpotter(Detector(upright(8, 16, width - 8, height - 16)), reader)(picture)
    assert word.text == "brown"
    assert sum(shape[0] for shape in reader.batches) == 3


def test_an_upright_word_is_cut_out_as_mmocr_does():
    image = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    # The shorter side is 20: 8 pixels are added at the ends, and 4 above and below.
    np.testing.assert_array_equal(cut_out(image, upright(50, 40, 110, 60)), image[36:64, 42:118])
    np.testing.assert_array_equal(cut_out(image, upright(50, 20, 70, 80)), image[12:88, 46:74])


def test_margins_beyond_the_image_repeat_its_edge():
    image = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
    crop = cut_out(image, upright(0, 0, 40, 20))
    assert crop.shape == (28, 56, 3)
    np.testing.assert_array_equal(crop[4:, 8:], image[:24, :48])
    np.testing.assert_array_equal(crop[4:, :8], np.repeat(image[:24, :1], 8, axis=1))


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("angle", [-44, -10, 0, 10, 44])
def test_corners_are_put_in_reading_order(start, direction, angle):
    corners, _ = turned(upright(10, 20, 70, 40), angle, (40, 30))
    given = np.roll(corners[::direction], start, axis=0)
    np.testing.assert_allclose(reading_order(given), corners, atol=1e-4)


def test_words_are_outlined_and_written_on_a_copy(spotter, page):
    image, polygons = page
    before = image.copy()
    drawn = spotter.draw(image, spotter(image))
    np.testing.assert_array_equal(image, before)
    for polygon in polygons:
        x, y = polygon[0].astype(int)
        assert (drawn[y - 2 : y + 3, x - 2 : x + 3] != image[y - 2 : y + 3, x - 2 : x + 3]).any()


def test_a_word_is_json(spotter, page):
    shown = json.loads(json.dumps(spotter(page[0])[0].to_dict()))
    assert shown["text"] == "quick"
    assert shown["polygon"] == page[1][0].tolist()
    assert shown.keys() == {"polygon", "text", "score", "detection_score", "character_scores"}


@pytest.mark.parametrize("swapped", [True, False])
def test_bundles_that_do_something_else_are_refused(swapped):
    detector, reader = Detector(), Reader()
    pair = (reader, detector) if swapped else (detector, SimpleNamespace(task=SimpleNamespace(name="pose-detection")))
    with pytest.raises(CompileError, match="the first finds it and the second recognises it") as error:
        TextSpotter(*pair)
    assert error.value.why == f"they do {pair[0].task.name} and {pair[1].task.name}"


@pytest.mark.parametrize("as_it_lies", [True, False])
def test_a_page_is_drawn_on_as_its_detector_reads_it(tmp_path, as_it_lies):
    task = object.__new__(TextDetection)
    object.__setattr__(task, "ignore_orientation", as_it_lies)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    Image.new("RGB", (60, 20), "white").save(tmp_path / "page.jpg", exif=exif)
    drawn = TextSpotter(Detector(task=task), Reader()).draw(tmp_path / "page.jpg", [])
    assert drawn.shape == ((20, 60, 3) if as_it_lies else (60, 20, 3))


def test_a_page_may_cost_what_its_detector_allows(tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "page.png")
    with pytest.raises(CompileError, match="megapixels"):
        TextSpotter(Detector(limits=Limits(megapixels=0.009)), Reader())(tmp_path / "page.png")
    assert TextSpotter(Detector(limits=Limits(megapixels=0.01)), Reader())(tmp_path / "page.png") == []


@pytest.fixture
def opened(monkeypatch, page):
    bundles = {"detector": Detector(*page[1]), "recogniser": Reader()}
    monkeypatch.setattr("compiler.runtime.bundle.open", lambda path, modules, **trusted: bundles[path])
    monkeypatch.setattr("compiler.artifact.lock.looks_like_a_bundle", lambda path: str(path) in bundles)


@pytest.mark.usefixtures("opened")
def test_predict_with_two_bundles_prints_and_draws_the_words(tmp_path, page, capsys):
    source, picture = tmp_path / "page.png", tmp_path / "drawn.png"
    cv2.imwrite(str(source), page[0])
    assert run_verb("predict", "detector", "recogniser", str(source), f"picture={picture}") == 0
    assert [word["text"] for word in json.loads(capsys.readouterr().out)] == list(WORDS)
    assert cv2.imread(str(picture)).shape == page[0].shape


@pytest.mark.usefixtures("opened")
def test_predict_in_the_wrong_order_says_what_each_bundle_does():
    with pytest.raises(CompileError) as error:
        run_verb("predict", "recogniser", "detector", "page.png")
    assert error.value.why == "they do text-recognition and text-detection"
    assert error.value.fix == "give one for text-detection, and then one for text-recognition"


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("arguments", [[], ["one"], ["detector", "recogniser"]])
def test_predict_takes_one_or_two_bundles_and_something_to_look_at(arguments):
    with pytest.raises(UsageError, match="predict takes"):
        run_verb("predict", *arguments)


@pytest.mark.usefixtures("opened")
def test_predict_takes_no_box_where_a_detector_finds_them():
    with pytest.raises(UsageError, match="finds the boxes itself"):
        run_verb("predict", "detector", "recogniser", "page.png", "box=0,0,5,5")


@pytest.fixture(scope="module")
def bundles(shared_folder):
    """One that finds the lines of a page, and one that reads several characters in each."""
    shapes = {"tiny-text": "static_480x640", "tiny-reader": "dynamic_32x32-32x640"}
    return [tiny_bundle(shared_folder, model, shape) for model, shape in shapes.items()]


def test_two_bundles_read_the_lines_of_a_page(bundles, here):
    image, printed = pages.page()
    source, picture = (here.folder / name for name in ("page.png", "drawn.png"))
    cv2.imwrite(str(source), image)
    run = here("predict", *map(str, bundles), str(source), f"picture={picture}")
    assert run.returncode == 0, run.stderr
    words = json.loads(run.stdout)
    detector, recognizer = map(runtime.open, bundles)
    lines = detector(image)
    assert len(lines) == len(pages.LINES)
    for word, line in zip(words, lines, strict=True):
        (text,) = recognizer(cut_out(image, line.polygon))
        assert word["polygon"] == line.polygon.tolist()
        assert word["detection_score"] == pytest.approx(line.score)
        assert word["text"] == text.text
        assert word["character_scores"] == pytest.approx(text.character_scores, abs=1e-4)
    assert all(len(word["text"]) > 2 for word in words)
    for one in printed:
        centre = one.quad.mean(axis=0).tolist()
        assert sum(cv2.pointPolygonTest(line.polygon, centre, False) > 0 for line in lines) == 1
    drawn = cv2.imread(str(picture))
    assert drawn.shape == image.shape
    assert (drawn != image).any()
