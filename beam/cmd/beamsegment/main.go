// Command beamsegment segments the pictures of a list with Apache Beam and writes COCO results, GeoJSON or tables in shards.
//
//	beamsegment --list pictures.txt --output out/results --shards 16
//
// runs in this process (Prism). Beam's flags choose another runner: --runner=flink --endpoint=HOST:8099,
// --runner=spark, --runner=dataflow. Workers have the image of deploy/Dockerfile.beam, or
// of deploy/Dockerfile.beam.cuda for GPUs, and run this program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	"github.com/diffusioninst/go/beam/beamseg"
)

func main() {
	list := flag.String("list", "", "file of paths, addresses (gs://) and globs of pictures, one per line; one with an address itself is read by a worker")
	output := flag.String("output", "results", "beginning of the names of the files that are written")
	shards := flag.Int("shards", 1, "files to write")
	var o beamseg.Options
	flag.StringVar(&o.Weights, "weights", "builtin:nuclei", "checkpoint, which all workers can read")
	flag.StringVar(&o.Device, "device", "auto", "of each worker: auto (a GPU if there is one), cpu, cuda or cuda:N")
	flag.IntVar(&o.Steps, "steps", 0, "denoising steps; 0 for the model's own")
	flag.Float64Var(&o.Score, "score", 0, "score below which instances are dropped; 0 for the model's own, negative for none")
	flag.IntVar(&o.Limit, "limit", 0, "greatest number of instances per picture; 0 for all")
	flag.StringVar(&o.Format, "format", "coco", "what to write: coco (results), geojson (a line per picture) or csv (a row per instance)")
	flag.Uint64Var(&o.Seed, "seed", 0, "seed of the noise")
	flag.Parse()
	beam.Init() // a worker does not return
	if err := run(context.Background(), os.Stderr, *list, *output, *shards, o); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// run runs the pipeline and tells out how many pictures have failed.
func run(ctx context.Context, out io.Writer, list, output string, shards int, o beamseg.Options) error {
	if list == "" || flag.NArg() > 0 || shards < 1 {
		return errors.New("give --list FILE and --shards of at least 1, and nothing behind the flags")
	}
	if *jobopts.WorkerBinary == "" { // otherwise Beam compiles one, with CGO_ENABLED=0
		self, err := os.Executable()
		if err != nil {
			return err
		}
		*jobopts.WorkerBinary = self
	}
	pipeline, err := pipelineOf(ctx, list, output, shards, o)
	if err != nil {
		return err
	}
	result, err := beamx.RunWithMetrics(ctx, pipeline)
	if err != nil || result == nil || *jobopts.Async { // a job that goes on has no counts yet
		return err
	}
	switch segmented, failed := beamseg.Count(result); {
	case failed > 0 && segmented == 0:
		return fmt.Errorf("none of the pictures could be segmented: %s-….failed.json say why", output)
	case failed > 0:
		fmt.Fprintf(out, "%d pictures segmented, %d failed: %s-….failed.json say why\n", segmented, failed, output)
	}
	return nil
}

// pipelineOf returns the pipeline of a list: of a file, which is read here, or of an address, which a worker reads.
func pipelineOf(ctx context.Context, list, output string, shards int, o beamseg.Options) (*beam.Pipeline, error) {
	if strings.Contains(list, "://") {
		return beamseg.ListPipeline(list, o, output, shards), nil
	}
	file, err := os.Open(list)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	pictures, err := beamseg.List(ctx, file)
	if err != nil {
		return nil, err
	}
	if *runners.Runner == "dataflow" || *runners.Runner == "DataflowRunner" {
		if err := checkGraph(pictures); err != nil {
			return nil, err
		}
	}
	return beamseg.Pipeline(pictures, o, output, shards), nil
}

// checkGraph refuses pictures whose paths make a graph that Dataflow may not take, whose limit is about 10 MB.
func checkGraph(pictures []beamseg.Picture) error {
	const most = 8e6
	size := 0.0
	for _, p := range pictures {
		size += float64(len(p.Path)+9) * 16 / 9 // as Beam encodes values: in base64, twice
	}
	if size > most {
		return fmt.Errorf("the list's %d pictures make a pipeline of %.0f MB, and Dataflow takes about 10 MB: copy the list to where workers read it, and give that address (--list gs://…)", len(pictures), size/1e6)
	}
	return nil
}
