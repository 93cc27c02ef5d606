import subprocess
import sys


def test_another_backend_of_keras_is_refused_in_one_line():
    """A stand-in for Keras: the real one needs the other backend installed."""
    code = (
        "import sys, types; keras = types.ModuleType('keras'); sys.modules['keras'] = keras\n"
        "keras.backend = types.SimpleNamespace(backend=lambda: 'jax')\n"
        "keras.saving = types.SimpleNamespace(get_custom_objects=dict)\n"
        "import kerasvid.layers"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    line = done.stderr.splitlines()[-1]
    assert line.startswith("ImportError: kerasvid needs the TensorFlow backend of Keras, not 'jax'")
    assert line.endswith("Set KERAS_BACKEND=tensorflow before Keras is imported.")
