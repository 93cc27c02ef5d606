"""The same as `kerasvid-play`. On a device, copy kerasvid/export/play_tflite.py alone."""

from kerasvid.export.play_tflite import main

main()
