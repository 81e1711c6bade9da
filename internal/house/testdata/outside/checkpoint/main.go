// Command checkpoint trains from a checkpoint: of the same model, and of another one.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	file, err := nn.OpenCheckpoint("model.pth")
	if err != nil {
		return err
	}
	defer file.Close()
	for _, name := range file.Names() {
		fmt.Println(name, file.Shape(name))
	}
	fmt.Println(file.Path(), file.Metadata()["diffusioninst"])
	config, err := diffusioninst.Infer(file.Path())
	if err != nil {
		return err
	}
	same, err := train.New(ctx, config, file.Source(), torch.CPU, train.Options{})
	if err != nil {
		return err
	}
	defer same.Close()

	config.Classes = []string{"cat", "dog"}
	start, err := train.OpenPretrained(ctx, file.Path(), config, 1)
	if err != nil {
		return err
	}
	defer start.Close()
	fmt.Println(start, start.Taken, start.Drawn, start.Reshaped, start.Unused)
	other, err := train.New(ctx, config, start, torch.CPU, train.Options{})
	if err != nil {
		return err
	}
	defer other.Close()

	// A module that this program defines, with parameters from the embedded file.
	builtin := nuclei.Checkpoint()
	weights, err := nn.ReadCheckpoint(builtin, builtin.Size())
	if err != nil {
		return err
	}
	defer weights.Close()
	fit, err := weights.Fit(ctx, 1, func(p nn.Path) error {
		nn.NewConv2d(p.Sub("backbone", "bottom_up", "stem", "conv1"), 3, 32, nn.ConvOptions{Kernel: 7, Stride: 2, Norm: nn.BatchNorm})
		return nil
	})
	if err != nil {
		return err
	}
	return torch.Do(ctx, func(*torch.Scope) error {
		store := nn.NewStore(fit, nn.StoreOptions{})
		defer store.Close()
		nn.NewConv2d(store.Root().Sub("backbone", "bottom_up", "stem", "conv1"), 3, 32, nn.ConvOptions{Kernel: 7, Stride: 2, Norm: nn.BatchNorm})
		return store.Err()
	})
}
