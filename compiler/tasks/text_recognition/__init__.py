"""What is written in a crop."""

from compiler.tasks.text_recognition.task import PreparedTexts, Text, TextRecognition, drawable

__all__ = [
    "PreparedTexts",
    "Text",
    "TextRecognition",
    "drawable",
]
