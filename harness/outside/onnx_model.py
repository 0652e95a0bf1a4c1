"""Networks in ONNX files, run by onnxruntime (extra `onnx`)."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationError
from torch import Tensor

from baselines.base import Box, Request, Spent, Streamed
from baselines.macs import MacCount
from baselines.windows import Size, extend, in_tiles, whole_windows
from harness.common.errors import HarnessError, MethodError, first_problem
from harness.common.files import sha256
from harness.outside.methods import TOP, Outside, Values, check_size, to_unit
from harness.profiles.sections import Strict

Colours = Literal["rgb", "bgr"]
_REMEDY = "Export it again with an image of 3 channels as its input and the SR image as its output."
_OVERLAP = 16  # of tiles, for networks of a fixed input size
_PROBE = 32
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# Operators with products that are not counted, and those whose work depends on the image.
_UNCOUNTED = {"Einsum", "LSTM", "GRU", "RNN", "Attention", "DeformConv", "If", "Loop", "Scan"}
_UNCOUNTED |= {"ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul"}
_IMAGE_DEPENDENT = {"NonZero", "Compress", "Unique", "NonMaxSuppression"}


def packages() -> tuple[ModuleType, ModuleType]:
    """Import onnx and onnxruntime; HarnessError where they are not installed."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise HarnessError(
            f"ONNX files need the packages onnx and onnxruntime ({error}).",
            'Install them: pip install -c constraints.txt -e ".[onnx]"',
        ) from error
    return onnx, onnxruntime


class Reading(Strict):
    """Reading of images by a network: what the file does not say itself.

    Attributes:
        values: range of its input and output.
        colours: order of its channels.
        multiple: number that its LR images are mirrored up to a multiple of.
    """

    values: Values = "unit"
    colours: Colours = "rgb"
    multiple: int = Field(default=1, ge=1)


_SAID = {"value_range": "values", "colour_order": "colours", "size_multiple": "multiple"}
"""Metadata of a file, and what they say of its `Reading`."""


@dataclass(frozen=True)
class _Inputs:
    """Inputs of a file.

    Attributes:
        image: name of the image.
        type: its type.
        channels_last: whether it is (1, h, w, 3).
        fixed: (h, w) of the only image that it takes; None for any.
        others: name, shape and type of the inputs for the "size" of the SR image (H, W) and for the
            "scale"; those that there are.
    """

    image: str
    type: Any
    channels_last: bool
    fixed: Size | None
    others: Mapping[str, tuple[str, tuple[int, ...], Any]]


class OnnxModel(Outside):
    """Network in an ONNX file.

    What is `given` of its `Reading` goes before the file's metadata, and these before the usual.
    The constructor raises HarnessError where the file cannot be used, and says why.
    """

    def __init__(self, path: Path, **given: Any) -> None:
        super().__init__()
        onnx, self.runtime = packages()
        self.path = path
        self.graph, self.external = _load(onnx, path)
        for number, node in enumerate(self.graph.graph.node):
            node.name = node.name or f"node {number}"
        self.session = self._session(profiled=False)
        self.inputs = _inputs(self.session, path)
        metadata = self.graph.metadata_props
        said = {_SAID[entry.key]: entry.value for entry in metadata if entry.key in _SAID}
        try:
            self.reading = Reading.model_validate({**said, **{k: v for k, v in given.items() if v}})
        except ValidationError as error:
            raise HarnessError(
                f"The metadata of {path} are not understood: {first_problem(error)}.",
                "They are value_range (unit, signed or bytes), colour_order (rgb or bgr) and "
                "size_multiple (a whole number).",
            ) from error
        self.output = (self.reading.values, "name it with --values")
        kinds = {node.op_type for node in self.graph.graph.node}
        foreign = {node.domain for node in self.graph.graph.node} - {"", "ai.onnx"}
        self.counted = not kinds & _UNCOUNTED and not foreign and not self.graph.functions
        self._by_image = bool(kinds & _IMAGE_DEPENDENT)
        self._macs: dict[tuple[Size, Size], int] = {}
        if not self.inputs.others:
            self.scales = (self._own_scale(),)
            self.any_size = False
        opsets = ", ".join(str(o.version) for o in self.graph.opset_import if not o.domain)
        self.origin = (
            f"{path.name}, an ONNX file (opset {opsets}) run by onnxruntime "
            f"{self.runtime.__version__}; values {self.reading.values}, {self.reading.colours}, "
            f"multiple {self.reading.multiple}"
        )

    @property
    def identity(self) -> str:
        """Hash of the file, of weights that it has elsewhere, and of how images are given to it."""
        text = f"{sha256(self.path)} {self.reading!r}{self.external}"
        return f"onnx-{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def _session(self, profiled: bool) -> Any:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        if profiled:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(tempfile.mkdtemp()) / "run")
            options.graph_optimization_level = self.runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return self.runtime.InferenceSession(
                self.graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises classes of its own for each kind of fault
            raise HarnessError(
                f"onnxruntime {self.runtime.__version__} cannot run {self.path}: {_first(error)}",
                "Export it with an opset that this version knows, and with standard operators.",
            ) from error

    @property
    def parameter_count(self) -> int | None:
        """Count the numbers in its weights."""
        floating = {1, 10, 11, 16}  # TensorProto: float, float16, double, bfloat16
        weights = [w for w in self.graph.graph.initializer if w.data_type in floating]
        return int(sum(math.prod(weight.dims) for weight in weights))

    def _own_scale(self) -> int:
        """Find the scale by enlarging an empty image."""
        side = self.inputs.fixed or (_PROBE, _PROBE)
        size = whole_windows(side, self.reading.multiple)
        try:
            made = self._run(self.session, torch.zeros(1, 3, *size), (0, 0), 0)
        except MethodError as error:
            raise HarnessError(
                f"{self.path} does not run on an image of {size[1]}x{size[0]}: {error}.",
                "Name the multiple that its images need with --multiple.",
            ) from error
        scales = {made.shape[-2] / size[0], made.shape[-1] / size[1]}
        scale = scales.pop()
        if scales or not scale.is_integer() or scale < 2:
            raise HarnessError(
                f"{self.path} makes {made.shape[-1]}x{made.shape[-2]} of {size[1]}x{size[0]} "
                "pixels, which is not an enlargement by a whole number.",
                "Networks on images that were interpolated before are not measured.",
            )
        return int(scale)

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make the SR image; its `choice` are the MACs, where they can be counted."""
        made = super().stream(lr, request)
        return replace(made, choice=self._count_image(lr, request)) if self.counted else made

    def whole(self, lr: Tensor, request: Request) -> tuple[Tensor, Spent | None]:
        """Run the network; see `Outside.whole`."""
        return self._enlarged(self.session, lr, request)[0], None

    def _enlarged(self, session: Any, lr: Tensor, request: Request) -> Tensor:
        """Enlarge an image (1, 3, h, w), mirrored up to the multiple, or in tiles."""
        h, w = lr.shape[-2:]
        lr = lr.float().cpu()
        if self.inputs.fixed:
            return self._tiled(session, lr, request)
        seen = whole_windows((h, w), self.reading.multiple)
        size = request.size
        if seen != (h, w):
            lr = extend(lr, seen)
            size = (round(seen[0] * size[0] / h), round(seen[1] * size[1] / w))
        made = self._run(session, lr, size, request.scale)
        check_size(made[0], lr, size, "the SR image")
        return made[..., : request.size[0], : request.size[1]]

    def _tiled(self, session: Any, lr: Tensor, request: Request) -> Tensor:
        """Enlarge an image by tiles of the only size that the network takes."""
        assert self.inputs.fixed is not None
        if not self.scales:
            raise MethodError("a fixed input size with a scale as input is not supported")
        s, (th, tw) = self.scales[0], self.inputs.fixed
        h, w = lr.shape[-2:]
        lr = extend(lr, (max(h, th), max(w, tw)))
        overlap = min(_OVERLAP, th // 2, tw // 2)

        def enlarge(tile: Tensor) -> Tensor:
            return self._run(session, tile, (th * s, tw * s), s)

        made = in_tiles(enlarge, lr, (th, tw), overlap, s)
        return made[..., : request.size[0], : request.size[1]]

    def _run(self, session: Any, lr: Tensor, size: Size, scale: float) -> Tensor:
        """Run the network on (1, 3, h, w) in [0, 1]; returns the same, or raises MethodError."""
        kind = self.reading.values
        values = lr * 2 - 1 if kind == "signed" else lr * TOP[kind]
        values = values.flip(1) if self.reading.colours == "bgr" else values
        array = values.numpy().astype(self.inputs.type)
        feed = {
            self.inputs.image: array.transpose(0, 2, 3, 1) if self.inputs.channels_last else array
        }
        for role, (name, shape, numbers) in self.inputs.others.items():
            given = {"size": size, "scale": scale}[role]
            feed[name] = np.asarray(given, dtype=numbers).reshape(shape)
        try:
            made = session.run(None, feed)[0]
        except Exception as error:  # onnxruntime raises classes of its own for each kind of fault
            raise MethodError(f"onnxruntime: {_first(error)}") from error
        image = torch.from_numpy(np.asarray(made, dtype=np.float32))
        if image.dim() == 4 and image.shape[1] != 3 and image.shape[3] == 3:
            image = image.permute(0, 3, 1, 2)
        if image.dim() != 4 or tuple(image.shape[:2]) != (1, 3):
            raise MethodError(f"the first output has the shape {tuple(made.shape)}: no SR image")
        image = image.flip(1) if self.reading.colours == "bgr" else image
        return to_unit(image, kind)

    def _count_image(self, lr: Tensor, request: Request) -> int:
        """Count the MACs of an image by the sizes of all products while it is enlarged again."""
        key = ((lr.shape[-2], lr.shape[-1]), request.size)
        if key not in self._macs or self._by_image:
            session = self._session(profiled=True)
            self._enlarged(session, lr, request)
            file = Path(session.end_profiling())
            events = json.loads(file.read_text())
            file.unlink()
            file.parent.rmdir()
            weights = {weight.name: tuple(weight.dims) for weight in self.graph.graph.initializer}
            nodes = {node.name: node for node in self.graph.graph.node}
            self._macs[key] = sum(_event_macs(event, nodes, weights) for event in events)
        return self._macs[key]

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Any = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """Count the MACs of one image, all in the `encoder` part; see `SRModel.count`.

        Without a choice, an empty image of the size is enlarged.
        """
        del shares
        if choice is None:
            request = Request(hr_size[0] / lr_size[0], hr_size, Box(0, 0, *hr_size))
            choice = self._count_image(torch.zeros(1, 3, *lr_size), request)
        return MacCount(encoder=int(choice), executed=0)


def _event_macs(event: Any, nodes: Mapping[str, Any], weights: Mapping[str, Any]) -> int:
    """Count the MACs of one operator, by its shapes in the profile."""
    arguments = event.get("args", {})
    kind = arguments.get("op_name")
    if event.get("cat") != "Node" or kind not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return 0
    given = [next(iter(shape.values())) for shape in arguments.get("input_type_shape", ())]
    made = [next(iter(shape.values())) for shape in arguments.get("output_type_shape", ())]
    if not given or not made:
        return 0
    node = nodes[event["name"].removesuffix("_kernel_time")]
    out = math.prod(made[0])
    if kind == "MatMul":
        return int(out * given[0][-1])
    if kind == "Gemm":
        turned = any(a.name == "transA" and a.i for a in node.attribute)
        return int(out * given[0][0 if turned else 1])
    # Weights that were packed before are missing in the profile.
    weight = weights.get(node.input[1]) or given[1]
    pixels = given[0] if kind == "ConvTranspose" else made[0]
    return int(math.prod(pixels) * math.prod(weight[1:]))


def _load(onnx: ModuleType, path: Path) -> tuple[Any, str]:
    """Read a file with its weights, and a hash of them all where some are in other files."""
    if not path.is_file():
        raise HarnessError(f"There is no file {path}.", "Check the path of --onnx.")
    try:
        graph = onnx.load(str(path), load_external_data=False)
        inside = graph.ByteSize()
        onnx.load_external_data_for_model(graph, str(path.parent))
        onnx.checker.check_model(graph)
        apart = graph.ByteSize() != inside
        external = hashlib.sha256(graph.SerializeToString()).hexdigest() if apart else ""
    except Exception as error:  # damaged files raise anything: DecodeError, ValidationError, ...
        raise HarnessError(
            f"{path} cannot be read as an ONNX file: {_first(error)}",
            "It may be truncated, of another type, or lack its file of external weights, which has "
            "to lie beside it.",
        ) from error
    return graph, external


def _first(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def _inputs(session: Any, path: Path) -> _Inputs:
    """Find out what the inputs of a network are."""
    given = session.get_inputs()
    images = [i for i in given if len(i.shape) == 4]
    others = [i for i in given if len(i.shape) != 4]
    listed = ", ".join(f"{i.name} {i.type} {i.shape}" for i in given)
    if len(images) != 1 or images[0].type not in _TYPES or len(others) > 2:
        raise HarnessError(
            f"{path} has the inputs {listed}; expected one image (1, 3, h, w) of floating point, "
            "and at most a scale and an output size.",
            _REMEDY,
        )
    (image,) = images
    shape = image.shape
    last = shape[3] == 3 and shape[1] != 3
    if not last and isinstance(shape[1], int) and shape[1] != 3:
        raise HarnessError(f"{path} takes images of {shape[1]} channels.", _REMEDY)
    sides = (shape[1], shape[2]) if last else (shape[2], shape[3])
    fixed = all(isinstance(side, int) for side in sides)
    found: dict[str, tuple[str, tuple[int, ...], Any]] = {}
    for other in others:
        role, *form = _role(other, path)
        if role in found:
            raise HarnessError(f"{path} has two inputs for the {role}: {listed}.", _REMEDY)
        found[role] = (other.name, *form)
    size = (int(sides[0]), int(sides[1])) if fixed else None
    return _Inputs(image.name, _TYPES[image.type], last, size, found)


def _role(given: Any, path: Path) -> tuple[str, tuple[int, ...], Any]:
    """Tell whether an input is a size or a scale, with its shape and type."""
    numbers = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, **_TYPES}
    numbers["tensor(double)"] = np.float64
    extent = tuple(n for n in given.shape if isinstance(n, int))
    count = math.prod(extent) if len(extent) == len(given.shape) else 0
    is_size = count == 2 and "int" in given.type
    if given.type not in numbers or not (is_size or count == 1):
        raise HarnessError(
            f"{path} has the input {given.name} {given.type} {given.shape}, which is neither a "
            "scale (one number) nor an output size (height and width, whole numbers).",
            _REMEDY,
        )
    return ("size" if is_size else "scale"), extent, numbers[given.type]
