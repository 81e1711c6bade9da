// Package nn has what modules are made of: parameter paths, state dictionaries
// and the layers that DiffusionInst uses.
//
// A module is a struct that is built from a Path. The Path asks a Store for each
// parameter by its full name, and the Store takes it from a checkpoint or draws it
// from a seed:
//
//	store := nn.NewStore(nn.FromCheckpoint(file), nn.StoreOptions{Inference: true})
//	fc := nn.NewLinear(store.Root().Sub("head", "fc"), 256, 80, nn.LinearOptions{})
//	if err := store.Err(); err != nil { … } // all that is missing, unexpected or mismatched
package nn
