// Command serve mounts the server below a path of a mux of its own.
package main

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/serve"
)

func main() {
	ctx := context.Background()
	model, err := diffusioninst.Load(ctx, "model.pth", diffusioninst.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	s, err := serve.New(map[string]*diffusioninst.Model{"default": model}, serve.Options{Queue: 8, Timeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Warm(ctx); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/pictures/", http.StripPrefix("/pictures", s))
	log.Print(http.ListenAndServe("127.0.0.1:8080", mux))
	log.Print(s.Shutdown(ctx), model.Close())
}
