"""docs/models.md and the models that there are name each other."""

import re
from pathlib import Path

from resources import weights
from resources.model_choice import MODELS_BY_ROLE

PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
NAMES = {name for siblings in MODELS_BY_ROLE.values() for name in siblings}
PLAN = (
    "SAM 2", "SegGPT", "U2-Net", "rembg", "CarveKit", "YOLOv8", "YOLOv9", "Detectron2",
    "Grounding DINO", "CLIP", "ViT", "EfficientNet", "ResNet-50", "custom CNN", "pose", "OpenALPR",
    "Plate Recognizer", "YOLO, custom", "EasyOCR", "360-Image-Viewer", "three.js", "Pannellum",
    "SD inpainting", "ControlNet", "CLAHE", "Deep Image Prior", "Real-ESRGAN", "Runway", "Pika",
    "Stable Video Diffusion", "Luma", "FFmpeg", "MoviePy",
)  # fmt: skip
"""Everything that the plan names for a function."""


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def cells(title: str) -> list[list[str]]:
    """The rows of a section's table."""
    rows = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1:]]


def test_every_model_has_its_row_and_every_row_its_model() -> None:
    listed = {name for row in cells("All models") for name in re.findall(r"`(\w+)`", row[1])}
    assert listed == NAMES


def test_every_system_of_the_plan_is_a_choice_or_left_out_with_a_reason() -> None:
    rows = cells("Every system of the plan")
    for name in PLAN:
        (row,) = (row for row in rows if re.search(rf"(^|[ ,]){re.escape(name)}($|[ ,])", row[1]))
        assert re.fullmatch(r"default( \(gpu\))?|choice|left out", row[2]), name
        if row[2] == "left out":
            assert len(row[4]) > 30, name


def test_the_lines_that_it_says_to_write_name_what_exists() -> None:
    lines = re.findall(r'\[(\w+)\] model = "(\w+)"', section("Every system of the plan"))
    assert lines
    for role, name in lines:
        assert name in MODELS_BY_ROLE[role], (role, name)


def test_weights_of_the_catalogue_stand_on_the_page() -> None:
    listed = section("Weights")
    assert [w.name for w in weights.catalogue() if f"`{w.name}`" not in listed] == []
