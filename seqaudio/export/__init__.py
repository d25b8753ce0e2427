"""One step of a trained model for other programs: as ONNX, C and JavaScript.

steps.py      what is exported: samples or ids and a flat state in, the model's answer and the next state out
front_end.py  samples to frames, by products of matrices, with the state in tensors
trace.py      the operations of a step, recorded from torch -> graph.py, a graph of a dozen kinds of nodes
onnx_file.py  the graph as ONNX, in float or with weights of 8 bits
code.py       the statements of a graph that C and JavaScript share
c_file.py     the graph as one C99 file
js_file.py    the graph as one JavaScript module, with js_listener.py
js_page.py    that module in a page that listens to the microphone
micro_file.py a wake word for ESPHome: its net in 8 bits (micro_net.py) as a .tflite file (tflite_file.py), its manifest
checking.py   what is written must compute what torch does
"""

from seqaudio.export.steps import ExportStep, export_step

__all__ = ["ExportStep", "export_step"]
