package nn_test

import (
	"context"
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
