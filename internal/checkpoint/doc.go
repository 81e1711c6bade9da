// Package checkpoint reads files of model weights: PyTorch's .pth in both its zip and its
// older stream form, Detectron2's .pkl of pickled NumPy arrays, and safetensors. It writes
// safetensors and the zip form of .pth.
//
// [Open] recognises the format by content and returns the names, types and
// shapes of the tensors; their values are read on demand through io.ReaderAt, so
// that opening a large file reads only its directory. [Match] maps the names in ImageNet
// backbones (torchvision, Detectron2, Caffe2, Swin) to a model's.
//
// Pickles are interpreted by a small machine that knows a fixed list of names and cannot
// run code: any other name is an error, and so is every size, offset, stride or count
// that the file does not have the bytes for. Memory grows with the
// size of the file, never with what the file claims. All errors about a file's
// content are of type [*FormatError].
package checkpoint
