"""SAM 2's own video tracking (`transformers` Sam2VideoModel) for the frames of a turn.

Boxes prompt the key frames; the memory carries the vehicle through those between. It needs a
checkpoint with the memory's weights, as the hub's SAM 2.1 ones are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Box, Rgb
from resources.models.base import Matte, ModelInfo, Subject
from resources.models.fused_matte import METHOD as FUSION, crop_of, fused
from resources.models.inputs import MEAN, STD
from resources.models.propagated_matte import METHOD as PROPAGATION
from resources.models.sam2_onnx import SIDE, squashed
from resources.models.sam2_torch import Logits, at_size, corners_of
from resources.models.torch_models import (
    Checkpoint,
    checkpoint,
    from_folder,
    need,
    normalised,
    of_transformers,
    resolve_device,
    to_device,
)
from resources.models.u2net_onnx import U2NetOnnx

VEHICLE = 1  # the one object that is tracked
BOX_CORNERS = ((2, 3),)  # SAM's labels of the two points that are a box
ONE_BATCH = 8  # frames that go to the device together


class Sam2VideoTorch(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Tracks the vehicle through the turn, then draws its edge by U2-Net on each frame.

    A frame that contradicts its neighbours gets agreement 0.
    """

    weights: str = "sam2.1_hiera_large"
    saliency: U2NetOnnx = Field(default_factory=U2NetOnnx)
    device: str = "auto"

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        from okla_assets.imaging.turn import propagation

        mattes, grids = [], []
        for frame, box, logits in zip(frames, boxes, self.tracked(frames, boxes), strict=True):
            crop = crop_of(frame, box)
            rows, columns = crop.pixels.shape[:2]
            whole = at_size(logits, frame)
            here = whole[crop.top : crop.top + rows, crop.left : crop.left + columns]
            cut = fused(crop, here, self.saliency.saliency(crop.pixels), Subject(box), None)
            mattes.append(cut)
            grids.append(propagation.as_grid(crop.of_photo(cut.alpha)))
        doubted = set(propagation.jumps(grids, boxes))
        return [Matte(m.alpha, 0.0 if i in doubted else m.agreement) for i, m in enumerate(mattes)]

    def tracked(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Logits]:
        """Mask logits float32 (256, 256) of each frame, squashed to a square."""
        from okla_assets.imaging.turn import propagation

        if not frames:
            return []
        torch = need("torch")
        # float32: the memory hands its errors on from frame to frame.
        where = resolve_device(self.device, "float32")
        model = from_folder("Sam2VideoModel", self._checkpoint(), where)
        with torch.inference_mode():
            session = self._session(frames, where)
            session.obj_id_to_idx(VEHICLE)
            for key in propagation.key_frames(boxes):
                corners = np.array(corners_of(frames[key], boxes[key]), np.float32)
                prompt = {
                    "point_coords": torch.from_numpy(corners.reshape(1, 1, 2, 2)),
                    "point_labels": torch.tensor([BOX_CORNERS], dtype=torch.int32),
                }
                session.add_point_inputs(0, key, prompt)
                session.obj_with_new_inputs = [VEHICLE]
                model(session, frame_idx=key)
            answers = model.propagate_in_video_iterator(session, start_frame_idx=0)
            return [np.asarray(answer.pred_masks[0, 0].float().cpu().numpy()) for answer in answers]

    def fingerprint(self) -> str:
        where = resolve_device(self.device, "float32")
        method = f"{FUSION}:{PROPAGATION}"
        networks = f"{self._checkpoint().digest}:{where}:{self.saliency.fingerprint()}"
        return f"sam2-video:{method}:{networks}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._checkpoint().info("segmentation"), *self.saliency.models())

    def _checkpoint(self) -> Checkpoint:
        return checkpoint(self.weights, ("sam2_video",))

    def _session(self, frames: Sequence[Rgb], where: Any) -> Any:
        torch = need("torch")
        parts = [
            normalised(
                to_device(np.stack([squashed(f) for f in frames[i : i + ONE_BATCH]]), where),
                MEAN.tolist(),
                STD.tolist(),
            )
            for i in range(0, len(frames), ONE_BATCH)
        ]
        return of_transformers("Sam2VideoInferenceSession")(
            video=torch.cat(parts),
            video_height=SIDE,
            video_width=SIDE,
            inference_device=where.device,
            inference_state_device=where.device,
            video_storage_device=where.device,
            dtype=torch.float32,
        )
