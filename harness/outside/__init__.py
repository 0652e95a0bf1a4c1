"""Methods from outside: SR images of another program, ONNX files, commands."""
