package data_test

import (
	"context"
	"fmt"
	"image"
	"log"
	"math/rand/v2"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/train/data"
)

// squares is a data set of pictures that are drawn when they are asked for.
type squares struct{}

func (squares) Classes() []string { return []string{"square"} }

func (squares) Len() int { return 10 }

func (squares) Sample(_ context.Context, i int) (data.Sample, error) {
	s := data.Sample{ID: fmt.Sprintf("square %d", i), Width: 64, Height: 48, RGB: make([]uint8, 3*64*48)}
	where := image.Rect(4*i, 10, 4*i+12, 22)
	m := mask.NewBitmap(64, 48)
	m.Fill(where)
	for y := where.Min.Y; y < where.Max.Y; y++ {
		for x := where.Min.X; x < where.Max.X; x++ {
			s.RGB[3*(64*y+x)] = 255
		}
	}
	s.Objects = []data.Object{{Box: mask.Box{
		X1: float32(where.Min.X), Y1: float32(where.Min.Y), X2: float32(where.Max.X), Y2: float32(where.Max.Y),
	}, Mask: m}}
	return s, nil
}

func ExampleLoader() {
	options := data.LoaderOptions{
		Batch: 4,
		Seed:  1,
		Augment: data.Chain{
			data.Flip{Horizontal: 0.5},
			data.Scale{Factor: data.Range{Min: 0.8, Max: 1.2}, Width: 40, Height: 32},
		},
	}
	loader, err := data.NewLoader(squares{}, options)
	if err != nil {
		log.Fatal(err)
	}
	defer loader.Close()
	ctx := context.Background()
	for range 3 {
		if _, err := loader.Next(ctx); err != nil { // and then trainer.Step(ctx, batch)
			log.Fatal(err)
		}
	}
	saved := loader.Position()
	next, err := loader.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}

	// Another run continues where this one was saved.
	resumed, err := data.NewLoader(squares{}, options)
	if err != nil {
		log.Fatal(err)
	}
	defer resumed.Close()
	if err := resumed.SeekTo(saved); err != nil {
		log.Fatal(err)
	}
	again, err := resumed.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for i := range next {
		fmt.Println(next[i].ID == again[i].ID, next[i].Width, next[i].Height, string(next[i].RGB) == string(again[i].RGB))
	}
	// Output:
	// true 40 32 true
	// true 40 32 true
	// true 40 32 true
	// true 40 32 true
}

func ExampleCollect() {
	set, err := data.Collect([]string{"square"}, func(yield func(data.Sample, error) bool) {
		for i := range 3 {
			if !yield(squares{}.Sample(context.Background(), i)) {
				return
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Len(), set.Classes())
	// Output: 3 [square]
}

// invert is an augmentation that the example defines: half of the pictures become negatives.
type invert struct{}

func (invert) Apply(s data.Sample, r *rand.Rand) (data.Sample, error) {
	if r.IntN(2) == 0 {
		return s, nil
	}
	rgb := make([]uint8, len(s.RGB)) // the picture given stays as it is
	for i, v := range s.RGB {
		rgb[i] = 255 - v
	}
	s.RGB = rgb
	return s, nil
}

func ExampleAugmentation() {
	// type invert struct{}
	// func (invert) Apply(s data.Sample, r *rand.Rand) (data.Sample, error) { … }
	augment := data.Chain{data.Flip{Horizontal: 0.5}, invert{}}
	s, err := squares{}.Sample(context.Background(), 2)
	if err != nil {
		log.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		changed, err := augment.Apply(s, r)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(changed.RGB[0], changed.Objects[0].Box)
	}
	// Output:
	// 0 44.0,10.0–56.0,22.0
	// 0 8.0,10.0–20.0,22.0
	// 255 8.0,10.0–20.0,22.0
	// 0 44.0,10.0–56.0,22.0
}

// Pictures of a LVIS data set that have objects, those with rare classes more often, and
// broken ones reported and passed over.
func ExampleOpenCOCO() {
	ctx := context.Background()
	lvis, err := data.OpenCOCO("lvis_v1_train.json", "images")
	if err != nil {
		log.Fatal(err)
	}
	set, err := data.NonEmpty(ctx, lvis)
	if err != nil {
		log.Fatal(err)
	}
	repeat, err := data.RepeatFactors(ctx, set, 0.001)
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(set, data.LoaderOptions{
		Batch:        16,
		Augment:      data.Reference(true, []int{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800}, 1333),
		Repeat:       repeat,
		GroupAspects: true,
		OnError: func(err error) error {
			log.Print(err)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer loader.Close()
}

func ExampleOpenLabelMe() {
	set, err := data.OpenLabelMe("photos", []string{"cat", "dog"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	counts, err := data.ClassCounts(context.Background(), set)
	if err != nil {
		log.Fatal(err)
	}
	for class, name := range set.Classes() {
		fmt.Println(counts[class], "pictures with a", name)
	}
}
