"""Published sizes and rates of `Navsynth`, and small ones."""

from typing import Any

from kerasvid.layers.frame_networks import dcgan_generator
from kerasvid.training.recipe import Recipe

# The paper names DCGAN and tells no sizes: width 64 is that of DCGAN's code in Torch.
DCGAN = dcgan_generator(64)
PRESETS: dict[str, dict[str, Any]] = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "frames": 8,
        "static_dim": 8,
        "transient_dim": 4,
        "units": 16,
        "decoder": {
            "dense_units": (),
            "seed_channels": 16,
            "channels": (16, 8),
            "upsampling": (2, 2),
            "patch": 2,
        },
        "objective": {"levels": 2},
    },
    # Good reconstructions on two CPU cores in minutes.
    "base": {
        "static_dim": 64,
        "transient_dim": 32,
        "units": 256,
        "decoded_frames": 4,
        "scaled_codes": True,
        "decoder": dcgan_generator(32),
    },
    # Table 2 of the supplement, with a DCGAN generator: Chair-CAD here, the others below.
    "paper": {"decoder": DCGAN, "stages": {"network": 5, "codes": 300}},
    "weizmann": {
        "static_dim": 56,
        "transient_dim": 200,
        "static_by": "identity",
        "transient_by": "label",
        "conditional": True,
        "videos": 80,
        "identities": 9,
        "classes": 10,
        "decoder": DCGAN,
        "objective": {"levels": 3, "triplet_weight": 0.1},
        "stages": {"network": 5, "codes": 700},
    },
    "golf": {
        "static_dim": 56,
        "transient_dim": 200,
        "decoder": DCGAN,
        "stages": {"network": 10, "codes": 1000},
    },
}
# Where there are stages a recipe ends with the last of them, before a further one begins. The
# optimizers are the supplement's, which tells no batch size.
RECIPES: dict[str, Recipe] = {
    "debug": Recipe(
        steps=60, batch_size=8, pick="start", warmup_steps=10, ema_momentum=0.0, code_rate=1.0
    ),
    "base": Recipe(
        steps=4_000, batch_size=16, pick="start", decay_steps=4_000, ema_momentum=0.0, code_rate=2.0
    ),
    # 305 epochs of 1,476 videos: 820 chairs from 2 elevations, less a tenth.
    "paper": Recipe(
        steps=28_136, batch_size=16, pick="start", learning_rate=6.25e-5, warmup_steps=0,
        beta_2=0.999, epsilon=1e-8, ema_momentum=0.0, code_rate=12.5,
    ),
    # 705 epochs of 80 videos: 9 persons in 10 actions, less a person of each.
    "weizmann": Recipe(
        steps=3_525, batch_size=16, learning_rate=6.25e-5, rival_rate=100.0, warmup_steps=0,
        beta_2=0.999, epsilon=1e-8, ema_momentum=0.0, code_rate=12.5,
    ),
    # 1,010 epochs of 500 videos.
    "golf": Recipe(
        steps=31_562, batch_size=16, pick="start", learning_rate=0.1, warmup_steps=0,
        beta_2=0.999, epsilon=1e-8, ema_momentum=0.0, code_rate=12.5,
    ),
}  # fmt: skip
