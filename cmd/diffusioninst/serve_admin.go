//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/relay"
	"github.com/diffusioninst/go/serve"
)

// A modelSet holds the models of a server, and loads them anew.
type modelSet struct {
	lock   sync.Mutex // of a reload
	models map[string]*diffusioninst.Model
	load   map[string]func() (*diffusioninst.Model, error)
	names  []string // in the order of the flags
}

// add loads a model under a name.
func (m *modelSet) add(name string, load func() (*diffusioninst.Model, error)) error {
	model, err := load()
	if err != nil {
		return err
	}
	m.models[name], m.load[name], m.names = model, load, append(m.names, name)
	return nil
}

// reload reads the file of a model again, and lets the server go on with what is in it.
func (m *modelSet) reload(ctx context.Context, s *serve.Server, name string) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	load := m.load[name]
	if load == nil {
		return fmt.Errorf("there is no model %q", name)
	}
	model, err := load()
	if err != nil {
		return err
	}
	old, err := s.Replace(ctx, name, model)
	if err != nil {
		return errors.Join(err, model.Close())
	}
	m.models[name] = model
	return old.Close()
}

// close closes all models, of which no call may run.
func (m *modelSet) close() {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, model := range m.models {
		_ = model.Close() // no call is running: it cannot fail
	}
}

// adminHandler answers on the address of --admin.
func adminHandler(ctx context.Context, s *serve.Server, models *modelSet) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.Metrics())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		names := models.names
		if name := r.URL.Query().Get("model"); name != "" {
			names = []string{name}
		}
		status, done := http.StatusOK, []string{}
		answer := map[string]any{}
		for _, name := range names {
			// It ends with the program, not with the client: a model that is loaded is used.
			if err := models.reload(ctx, s, name); err != nil {
				status, answer["error"] = http.StatusUnprocessableEntity, fmt.Sprintf("model %s stays as it was: %v", name, err)
				break
			}
			done = append(done, name)
		}
		answer["reloaded"] = done
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // a client that has left
	})
	// A page of any website may let its reader's browser post to loopback.
	return http.NewCrossOriginProtection().Handler(s.RequireToken(mux))
}

// serveAdmin answers on the address of --admin until stop is called.
func serveAdmin(ctx context.Context, listener net.Listener, h http.Handler) (stop func()) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan struct{})
	var end relay.End
	go func() {
		defer close(ended)
		end.Run(func() { _ = server.Serve(listener) }) // until stop: the listener is open
	}()
	return func() {
		closing, free := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer free()
		if server.Shutdown(closing) != nil {
			_ = server.Close()
		}
		<-ended
		end.Pass()
	}
}
