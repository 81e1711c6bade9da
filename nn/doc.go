// Package nn has what modules are made of: parameter paths, state dictionaries
// and the layers that DiffusionInst uses.
//
// A module is a struct that is built from a Path. The Path asks a Store for each
// parameter by its full name, and the Store takes it from a Source: a checkpoint (see
// OpenCheckpoint), a seed (FromSeed) or other parameters (FromParameters). After the
// modules are built, Store.Err reports all that is missing, unexpected or mismatched.
package nn
