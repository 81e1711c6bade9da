// Package checkpoint reads the weight files that people have: PyTorch's .pth in
// both its zip and its older stream form, Detectron2's .pkl of pickled NumPy
// arrays, and safetensors. It writes safetensors and the zip form of .pth.
//
// [Open] recognises the format by content and returns the names, types and
// shapes of the tensors; their values are read on demand through io.ReaderAt, so
// opening a large file costs what its directory costs. [Match] brings the names
// of ImageNet backbones (torchvision, Detectron2, Caffe2, Swin) to a model's.
//
// Pickles are read by a small machine that knows a fixed list of names and can
// run nothing: anything else in the file is an error, as is every size, offset,
// stride or count that the file cannot back with bytes. Memory grows with the
// size of the file, never with what the file claims. All errors about a file's
// content are of type [*FormatError].
package checkpoint
