package nn_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func ExampleStore() {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{})
		defer store.Close()
		nn.NewLinear(store.Root().Sub("head", "fc"), 4, 2, nn.LinearOptions{})
		for _, p := range store.Parameters() {
			fmt.Println(p.Name, p.Tensor.Shape())
		}
		return store.Err()
	})
	fmt.Println(err)
	// Output:
	// head.fc.weight [2 4]
	// head.fc.bias [2]
	// <nil>
}

// A Store reports everything that does not fit at once.
func ExampleOpenCheckpoint() {
	file, err := nn.OpenCheckpoint("../internal/checkpoint/testdata/plain.pth")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	fmt.Println(file.Names(), file.Shape("plain"))

	err = torch.Do(context.Background(), func(s *torch.Scope) error {
		store := nn.NewStore(file.Source(), nn.StoreOptions{Inference: true})
		defer store.Close()
		weight := store.Root().Parameter("plain", nn.Constant(0), 4, 6)
		fmt.Println(torch.Values[float32](weight)[:3])
		store.Root().Parameter("bias", nn.Constant(0), 4)
		return store.Err()
	})
	var problem *nn.LoadError
	if errors.As(err, &problem) {
		fmt.Println("missing:", problem.Missing, "unexpected:", problem.Unexpected)
	}
	// Output:
	// [plain row bfloat] [4 6]
	// [-1 -0.875 -0.75]
	// missing: [bias] unexpected: [row bfloat]
}

// Training for another task starts from what a checkpoint has.
func ExampleCheckpoint_Fit() {
	file, err := nn.OpenCheckpoint("../internal/checkpoint/testdata/plain.pth")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	fit, err := file.Fit(context.Background(), 1, func(p nn.Path) error {
		p.Sub("head").Parameter("plain", nn.Normal(1), 4, 6)
		p.Sub("head").Parameter("bias", nn.Constant(0), 4)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(fit.Taken, fit.Drawn) // fit is a Source for nn.NewStore
	// Output: [head.plain] [head.bias]
}
