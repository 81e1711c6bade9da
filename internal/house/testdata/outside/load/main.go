// Command load loads a model from a file, or from bytes in the program.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func main() {
	ctx, path := context.Background(), "model.pth"
	config, err := diffusioninst.Infer(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	config.Proposals = 100
	model, err := diffusioninst.Load(ctx, path, diffusioninst.LoadOptions{Config: &config, Device: torch.CPU})
	var problem *diffusioninst.LoadError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Println("there is no such file")
		return
	case errors.Is(err, nn.ErrNotCheckpoint):
		fmt.Println("that is another kind of file")
		return
	case errors.As(err, &problem):
		fmt.Println(problem.Path, problem.Err, problem.Missing, problem.Unexpected, problem.Mismatched, problem.Broken)
		return
	case err != nil:
		fmt.Println(err)
		return
	}
	defer model.Close()
	fmt.Println(model.Config().Classes, model.Parameters(), model.Device())

	raw, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	embedded, err := diffusioninst.LoadFrom(ctx, bytes.NewReader(raw), int64(len(raw)), diffusioninst.LoadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer embedded.Close()
}
