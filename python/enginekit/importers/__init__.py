"""Float networks from elsewhere: Keras models and the plain JSON form."""

from enginekit.importers.json_form import from_json, to_json
from enginekit.importers.keras_model import from_keras

__all__ = ["from_json", "from_keras", "to_json"]
