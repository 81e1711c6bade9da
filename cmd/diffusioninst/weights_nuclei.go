//go:build cgo

package main

import "github.com/diffusioninst/go/nuclei"

func init() { builtins["nuclei"] = nuclei.Checkpoint }
