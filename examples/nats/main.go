// Command nats segments pictures that arrive without end in a stream of NATS JetStream:
//
//	nats-server --jetstream &
//	go run . --server nats://localhost:4222
//	nats pub --force-stdin --no-templates pictures.plate1.a <a.png     # or any client: a message is a picture's file
//
// Each message of the subjects pictures.> becomes one of found.>, in JSON. Any number of workers share the stream.
// A picture whose worker is lost goes to another one, and its result is there once all the same. A worker that is told to
// stop (SIGTERM) finishes its picture first.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
)

func main() {
	server := flag.String("server", nats.DefaultURL, "address of the NATS server")
	weights := flag.String("weights", "", "checkpoint; without one the built-in model finds cell nuclei")
	wait := flag.Duration("ack-wait", time.Minute, "time after which a picture whose worker is silent goes to another, for a consumer that is not there yet")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait for the picture
	if err := run(ctx, *server, *weights, *wait); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, server, weights string, wait time.Duration) error {
	model, err := load(ctx, weights)
	if err != nil {
		return err
	}
	defer model.Close()
	connection, err := nats.Connect(server, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer connection.Close()
	w, err := newWorker(ctx, connection, model, wait)
	if err != nil {
		return err
	}
	return w.work(ctx)
}

func load(ctx context.Context, weights string) (*diffusioninst.Model, error) {
	if weights == "" {
		return nuclei.Load(ctx, diffusioninst.LoadOptions{})
	}
	return diffusioninst.Load(ctx, weights, diffusioninst.LoadOptions{})
}
