"""A model as a Hugging Face directory, so that glot and transformers read the same float32 weights."""
import pathlib
import subprocess


def dense_directory(glot, model, folder):
    if pathlib.Path(model).is_dir():
        return model
    out = folder / "model"
    subprocess.run([glot, "upcycle", model, "--experts", "1", "--out", out], check=True, capture_output=True)
    return str(out)
