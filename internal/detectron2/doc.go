// Package detectron2 reads the YAML config files of Detectron2 that DiffusionInst uses.
//
// The files of the official project load as they are. A file says what it changes
// and names the file it builds on:
//
//	_BASE_: "Base-DiffusionInst.yaml"
//	MODEL:
//	  DiffusionInst:
//	    NUM_PROPOSALS: 500
//	INPUT:
//	  MIN_SIZE_TRAIN: (480, 512, 544)
//
// Sections merge key by key, everything else is replaced; keys that no file sets
// have the defaults of Detectron2 and of the project (defaults.yaml). Tuples may be
// written as Python writes them, in text or as !!python/tuple.
//
// Every key belongs to one of three groups. Keys with a field in [Config] are read;
// a wrong type, a value that cannot be honoured and an unknown neighbour are errors.
// Keys of parts that DiffusionInst does not have, such as MODEL.RPN, are ignored:
// silently at their default, with a warning otherwise. All others are errors.
package detectron2
