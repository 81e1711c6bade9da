// Command video counts the nuclei in the frames of a video or of a camera, as they come:
//
//	ffmpeg -v error -i video.mp4 -f image2pipe -c:v png - | go run ./examples/video
//	ffmpeg -v error -f v4l2 -i /dev/video0 -vf fps=1 -f image2pipe -c:v mjpeg - | go run ./examples/video
//
// The program does the same, with whole masks, as
// diffusioninst segment --weights builtin:nuclei --scales 1 --output - -
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/picture"
)

func main() {
	if err := run(context.Background(), os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run prints a line per frame. A frame that cannot be decoded is passed over.
func run(ctx context.Context, in io.Reader, out io.Writer) error {
	model, err := nuclei.Load(ctx, diffusioninst.LoadOptions{})
	if err != nil {
		return err
	}
	defer model.Close()
	options := diffusioninst.Options{Scales: &diffusioninst.Scales{Factors: []float64{1}}} // the quick way
	stream := picture.NewStream(in, picture.Options{})
	for n := 1; ; n++ {
		frame, err := stream.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, picture.ErrRead):
			return err
		case err != nil:
			fmt.Fprintf(out, "frame %d: %v\n", n, err)
			continue
		}
		result, err := model.Segment(ctx, frame, options)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "frame %d: %d nuclei\n", n, len(result.Instances))
	}
}
