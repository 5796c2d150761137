"""A Qwen3-VL in plain torch for photos of one size, small enough to train from scratch in minutes.

Parameter names and arithmetic are those of transformers' Qwen3VLForConditionalGeneration with tied embeddings (a test
compares the two); written out here because one size of photo needs no masks, no ragged batches and few kernels. The
language part is network.Qwen3, so that the teacher's weights can start it, as a Qwen3-VL starts from a Qwen3.
"""

from dataclasses import asdict, dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from miniature.drawing.pen import HEIGHT, WIDTH
from miniature.teacher.network import Qwen3, Shape, _rotate

PATCH, MERGE, FRAMES = 16, 2, 2
GRID = (HEIGHT // PATCH, WIDTH // PATCH)
PHOTO_TOKENS = GRID[0] * GRID[1] // MERGE**2
_SIDE = 16  # of the square grid of learnt positions
_VISION_THETA = 10000.0
MROPE_SECTION = (12, 10, 10)


@dataclass(frozen=True)
class VisionShape:
    """Sizes of the vision tower; keys as in a Qwen3-VL vision config."""

    depth: int = 4
    hidden_size: int = 192
    intermediate_size: int = 512
    num_heads: int = 3
    deepstack_visual_indexes: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class StudentShape:
    """Sizes of the whole network and its special tokens."""

    text: Shape
    vision: VisionShape = field(default_factory=VisionShape)
    image_token_id: int = 0
    video_token_id: int = 0
    vision_start_token_id: int = 0
    vision_end_token_id: int = 0
    eos_token_id: int = 0
    pad_token_id: int = 0

    def config(self) -> dict:
        """Arguments of transformers.Qwen3VLConfig."""
        text = self.text.qwen3_config()
        text["rope_parameters"] |= {"mrope_section": list(MROPE_SECTION), "mrope_interleaved": True}
        text |= {"eos_token_id": self.eos_token_id, "pad_token_id": self.pad_token_id, "bos_token_id": None}
        vision = asdict(self.vision) | {
            "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": FRAMES,
            "out_hidden_size": self.text.hidden_size,
            "num_position_embeddings": _SIDE**2, "deepstack_visual_indexes": list(self.vision.deepstack_visual_indexes),
        }  # fmt: skip
        names = (
            "image_token_id",
            "video_token_id",
            "vision_start_token_id",
            "vision_end_token_id",
            "eos_token_id",
            "pad_token_id",
        )
        return {
            "text_config": text,
            "vision_config": vision,
            "tie_word_embeddings": True,
            **{name: getattr(self, name) for name in names},
        }


def _patch_order() -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of each patch, in the order in which 2 × 2 neighbours come together."""
    rows, columns = torch.meshgrid(torch.arange(GRID[0]), torch.arange(GRID[1]), indexing="ij")

    def ordered(table: torch.Tensor) -> torch.Tensor:
        return table.reshape(GRID[0] // MERGE, MERGE, GRID[1] // MERGE, MERGE).permute(0, 2, 1, 3).reshape(-1)

    return ordered(rows), ordered(columns)


def _position_weights() -> torch.Tensor:
    """[patches, positions]: bilinear weights of the learnt square grid at each patch, corners aligned."""
    table = torch.eye(_SIDE**2).reshape(1, _SIDE**2, _SIDE, _SIDE)
    resized = F.interpolate(table, size=GRID, mode="bilinear", align_corners=True)[0]
    rows, columns = _patch_order()
    return resized[:, rows, columns].T.contiguous()


class _PatchEmbed(nn.Module):
    def __init__(self, v: VisionShape):
        super().__init__()
        self.proj = nn.Conv3d(3, v.hidden_size, (FRAMES, PATCH, PATCH), (FRAMES, PATCH, PATCH))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels [batch, 3, height, width] in -1…1 -> patches [batch, n, hidden]; a photo is both frames."""
        batch = pixels.shape[0]
        grid = pixels.reshape(batch, 3, GRID[0] // MERGE, MERGE, PATCH, GRID[1] // MERGE, MERGE, PATCH)
        patches = grid.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(batch, -1, 3 * PATCH * PATCH)
        return F.linear(patches, self.proj.weight.sum(2).flatten(1), self.proj.bias)


class _VisionAttention(nn.Module):
    def __init__(self, v: VisionShape):
        super().__init__()
        self.heads = v.num_heads
        self.qkv, self.proj = nn.Linear(v.hidden_size, 3 * v.hidden_size), nn.Linear(v.hidden_size, v.hidden_size)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, size = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(_rotate(q, cos, sin), _rotate(k, cos, sin), v)
        return self.proj(out.transpose(1, 2).reshape(batch, length, size))


class _VisionMlp(nn.Module):
    def __init__(self, v: VisionShape):
        super().__init__()
        self.linear_fc1, self.linear_fc2 = (
            nn.Linear(v.hidden_size, v.intermediate_size),
            nn.Linear(v.intermediate_size, v.hidden_size),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear_fc2(F.gelu(self.linear_fc1(x), approximate="tanh"))


class _Block(nn.Module):
    def __init__(self, v: VisionShape):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(v.hidden_size, eps=1e-6), nn.LayerNorm(v.hidden_size, eps=1e-6)
        self.attn, self.mlp = _VisionAttention(v), _VisionMlp(v)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class _Merger(nn.Module):
    def __init__(self, v: VisionShape, out: int, after: bool):
        super().__init__()
        size = v.hidden_size * MERGE**2
        self.after, self.norm = after, nn.LayerNorm(size if after else v.hidden_size, eps=1e-6)
        self.linear_fc1, self.linear_fc2 = nn.Linear(size, size), nn.Linear(size, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        merged = (x.shape[0], -1, x.shape[2] * MERGE**2)
        x = self.norm(x.reshape(merged)) if self.after else self.norm(x).reshape(merged)
        return self.linear_fc2(F.gelu(self.linear_fc1(x)))


class Vision(nn.Module):
    """Pixels -> (photo tokens, [deep features]), each [batch, PHOTO_TOKENS, out]."""

    def __init__(self, v: VisionShape, out: int):
        super().__init__()
        self.v, self.patch_embed = v, _PatchEmbed(v)
        self.pos_embed = nn.Embedding(_SIDE**2, v.hidden_size)
        self.blocks = nn.ModuleList(_Block(v) for _ in range(v.depth))
        self.merger = _Merger(v, out, after=False)
        self.deepstack_merger_list = nn.ModuleList(_Merger(v, out, after=True) for _ in v.deepstack_visual_indexes)
        spatial = v.hidden_size // v.num_heads // 2
        inverse = _VISION_THETA ** -(torch.arange(0, spatial, 2) / spatial)
        angles = torch.cat([torch.outer(place.float(), inverse) for place in _patch_order()], dim=1).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.register_buffer("weights", _position_weights(), persistent=False)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Pixels of patches [patches, values] -> their embeddings, and those that go into the language layers."""
        x = self.patch_embed(pixels)
        x = x + (self.weights @ self.pos_embed.weight).to(x.dtype)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        deep: list[torch.Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x, cos, sin)
            if index in self.v.deepstack_visual_indexes:
                deep.append(self.deepstack_merger_list[len(deep)](x))
        return self.merger(x), deep


class StudentNetwork(Qwen3):
    """ids [batch, length] -> last hidden states. In photo rows every photo's tokens begin at the same place."""

    def __init__(self, shape: StudentShape, photo_at: int):
        super().__init__(shape.text)
        self.student_shape, self.photo_at = shape, photo_at
        self.visual = Vision(shape.vision, shape.text.hidden_size)
        for name, parameter in self.visual.named_parameters():
            if parameter.dim() >= 2:
                fan = parameter[0].numel()
                deep = (
                    (2 * shape.vision.depth) ** -0.5
                    if name.endswith(("attn.proj.weight", "mlp.linear_fc2.weight"))
                    else 1.0
                )
                nn.init.normal_(parameter, std=0.02 if "pos_embed" in name else deep * fan**-0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        cos, sin = self._photo_angles()
        self.register_buffer("photo_cos", cos, persistent=False)
        self.register_buffer("photo_sin", sin, persistent=False)

    def _photo_angles(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotary tables of a photo row.

        Its tokens turn by frame, row and column; later text goes on behind the longer side.
        """
        s = self.shape
        high, wide = GRID[0] // MERGE, GRID[1] // MERGE
        place = torch.arange(s.max_position_embeddings).repeat(3, 1)
        end = self.photo_at + PHOTO_TOKENS
        rows, columns = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
        place[0, self.photo_at : end] = self.photo_at
        place[1, self.photo_at : end] = self.photo_at + rows.reshape(-1)
        place[2, self.photo_at : end] = self.photo_at + columns.reshape(-1)
        place[:, end:] += max(high, wide) - PHOTO_TOKENS
        inverse = s.rope_theta ** -(torch.arange(0, s.head_dim, 2) / s.head_dim)
        angles = place[..., None] * inverse
        mixed = angles[0].clone()
        for axis in (1, 2):
            turn = slice(axis, 3 * MROPE_SECTION[axis], 3)
            mixed[:, turn] = angles[axis][:, turn]
        mixed = mixed.repeat(1, 2)
        return mixed.cos(), mixed.sin()

    def forward_photos(self, ids: torch.Tensor, photo: torch.Tensor, deep: list[torch.Tensor]) -> torch.Tensor:
        """Rows with a photo: ``photo`` and ``deep`` are what ``visual`` gave for each row."""
        start, end = self.photo_at, self.photo_at + PHOTO_TOKENS
        words = self.model.embed_tokens(ids).to(photo.dtype)
        x = torch.cat((words[:, :start], photo, words[:, end:]), dim=1)
        cos, sin = self.photo_cos[: ids.shape[1]].to(x.dtype), self.photo_sin[: ids.shape[1]].to(x.dtype)
        for index, layer in enumerate(self.model.layers):
            x = layer(x, cos, sin)
            if index < len(deep):
                x = torch.cat((x[:, :start], x[:, start:end] + deep[index].to(x.dtype), x[:, end:]), dim=1)
        return self.model.norm(x)

    def tensors(self) -> dict[str, torch.Tensor]:
        """All weights under transformers' names (the tied output is left out)."""
        return {_their_name(name): value for name, value in self.state_dict().items()}

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take weights under transformers' names."""
        self.load_state_dict({name: tensors[_their_name(name)] for name in self.state_dict()})


def _their_name(name: str) -> str:
    return f"model.{name}" if name.startswith("visual.") else name.replace("model.", "model.language_model.", 1)
