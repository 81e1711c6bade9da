//go:build cgo

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/serve"
	"github.com/diffusioninst/go/torch"
)

func init() { modelCommands = append(modelCommands, newServeCommand) }

// serveOptions are the flags of the serve command.
type serveOptions struct {
	model    modelFlags
	more     []string // NAME=WEIGHTS
	listen   string
	admin    string
	insecure bool
	tokens   string // file
	studio   string // address of a Label Studio
	cert     string
	key      string
	drain    time.Duration
	held     float64 // of --max-held
	body     float64 // of --max-body
	logJSON  bool
	server   serve.Options
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer HTTP requests with what a model finds in pictures",
		Long: `Answer HTTP requests with what a model finds in pictures: POST /v1/segment takes a picture
and gives JSON, an overlay, a label map or one of the other forms; /v2 and gRPC on the same port
are the Open Inference Protocol. docs/serve.md describes all of it.

The model of --weights is named "default"; --model adds others, with the same device and settings.
The flags for pictures and steps are what requests get that do not choose their own.

Without --token-file the server listens on this machine only, unless --insecure says that
anyone who reaches it may use it.

SIGTERM (or Ctrl-C) makes the server not ready and refuses new requests; it ends when all that
it has admitted are answered, or after --drain. A second signal ends it at once. POST /reload on
the address of --admin reads the weights anew without losing a request.`,
		Example: `  diffusioninst serve --weights builtin:nuclei --scales 1
  curl --data-binary @cells.png http://127.0.0.1:8080/v1/segment
  diffusioninst serve --weights model.pth --model nuclei=builtin:nuclei --listen :8443 --token-file tokens --tls-cert cert.pem --tls-key key.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runServe(cmd, &o) },
	}
	o.model.add(cmd)
	o.model.several = true
	f := cmd.Flags()
	f.Lookup("device").Usage += "; several, such as cuda:0,cuda:1, each get a copy of the models"
	f.StringArrayVar(&o.more, "model", nil, "another model as NAME=WEIGHTS; may be repeated")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address and port; port 0 takes a free one, which is printed")
	f.StringVar(&o.admin, "admin", "", "address and port for operators: /metrics for Prometheus, /debug/pprof/, POST /reload[?model=NAME]")
	f.BoolVar(&o.insecure, "insecure", false, "listen on an address of other machines without a token")
	f.StringVar(&o.tokens, "token-file", "", "file of tokens, one per line, one of which requests must present as a bearer token")
	f.StringVar(&o.cert, "tls-cert", "", "file of the certificate, for HTTPS")
	f.StringVar(&o.key, "tls-key", "", "file of the certificate's key, for HTTPS")
	f.StringVar(&o.studio, "label-studio", "", "be the ML backend of the Label Studio at this address, whose token for its API is $LABEL_STUDIO_API_KEY; - reads only pictures that are in the tasks")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "how long requests that were admitted may take when the server is stopped")
	f.IntVar(&o.server.Workers, "workers", 0, "pictures or batches at a time; more than 1 pays on a GPU only (default: one for each of --device)")
	f.IntVar(&o.server.Batch, "batch", 1, "most pictures of one padded size that go through the network together; pays on a GPU")
	f.DurationVar(&o.server.BatchWait, "batch-wait", 5*time.Millisecond, "how long a picture waits for others to share its batch; negative for not at all")
	f.IntVar(&o.server.Queue, "queue", 64, "pictures that may wait; negative for none")
	f.IntVar(&o.server.PerClient, "per-client", 0, "requests of one client at a time (default: half of all; negative for no limit)")
	f.Float64Var(&o.body, "max-body", 64, "MiB of a request's body")
	f.IntVar(&o.server.MaxPixels, "max-pixels", 100_000_000, "width × height of a picture")
	f.Float64Var(&o.held, "max-held", 1, "GiB of memory for the pictures of all admitted requests; calls of the model take --max-memory besides")
	f.DurationVar(&o.server.Timeout, "timeout", time.Minute, "time of a request until its result; negative for no limit")
	f.DurationVar(&o.server.ReadTimeout, "read-timeout", 30*time.Second, "time of a request's body; negative for no limit")
	f.DurationVar(&o.server.WriteTimeout, "write-timeout", 30*time.Second, "time of an answer; negative for no limit")
	f.BoolVar(&o.logJSON, "log-json", false, "log in JSON")
	return cmd
}

// check refuses flags that contradict each other, and values that the library would take for
// "use the default".
func (o *serveOptions) check() error {
	for name, zero := range map[string]bool{
		"workers": o.server.Workers < 0 || o.model.set("workers") && o.server.Workers == 0, "batch": o.server.Batch < 1, "max-pixels": o.server.MaxPixels < 1, "max-body": !(o.body*(1<<20) >= 1 && o.body <= 1<<20), "max-held": !(o.held*(1<<30) >= 1 && o.held <= 1<<20),
		"queue": o.server.Queue == 0, "per-client": o.model.set("per-client") && o.server.PerClient == 0, "batch-wait": o.server.BatchWait == 0,
		"timeout": o.server.Timeout == 0, "read-timeout": o.server.ReadTimeout == 0, "write-timeout": o.server.WriteTimeout == 0, "drain": o.drain <= 0,
	} {
		if zero {
			return fmt.Errorf("--%s: the value is out of range; --help says what it takes", name)
		}
	}
	switch {
	case (o.cert == "") != (o.key == ""):
		return errors.New("--tls-cert and --tls-key belong together")
	case o.insecure && o.tokens != "":
		return errors.New("--insecure is for a server without a token, and --token-file gives it one")
	case o.listen == "":
		return errors.New("--listen: an address and a port are required, such as 127.0.0.1:8080")
	}
	if o.tokens != "" || o.insecure {
		return nil
	}
	for flag, text := range map[string]string{"listen": o.listen, "admin": o.admin} {
		if text == "" {
			continue
		}
		address, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			return fmt.Errorf("--%s %s: %w", flag, text, err)
		}
		if !address.IP.IsLoopback() {
			return fmt.Errorf("--%s %s: other machines reach it: give a --token-file, or --insecure if anyone may use it", flag, text)
		}
	}
	return nil
}

func runServe(cmd *cobra.Command, o *serveOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx := cmd.Context()
	var err error
	if o.tokens != "" {
		if o.server.Tokens, err = await(ctx, func() ([]string, error) { return readTokens(o.tokens) }); err != nil {
			return err
		}
	}
	var identity tls.Certificate
	if o.cert != "" {
		if identity, err = await(ctx, func() (tls.Certificate, error) { return tls.LoadX509KeyPair(o.cert, o.key) }); err != nil {
			return fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen) // now, not after the weights are read
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer listener.Close()
	var admin net.Listener
	if o.admin != "" {
		if admin, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.admin); err != nil {
			return fmt.Errorf("--admin: %w", err)
		}
		defer admin.Close()
	}
	devices, err := o.model.devices()
	if err != nil {
		return err
	}
	if o.server.Workers == 0 {
		o.server.Workers = len(devices)
	}
	if o.server.Workers < len(devices) {
		return fmt.Errorf("--workers %d: fewer than the %d devices of --device, each of which needs one", o.server.Workers, len(devices))
	}
	if o.server.Workers > 1000 {
		return fmt.Errorf("--workers %d: the most is 1000", o.server.Workers)
	}
	torch.SetWorkers(o.server.Workers)
	models, err := o.load(cmd)
	defer models.close()
	if err != nil {
		return err
	}
	log := slog.Handler(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	if o.logJSON {
		log = slog.NewJSONHandler(cmd.ErrOrStderr(), nil)
	}
	o.server.Log = slog.New(log)
	if o.studio != "" {
		o.server.LabelStudio = &serve.LabelStudio{URL: strings.TrimPrefix(o.studio, "-"), Token: os.Getenv("LABEL_STUDIO_API_KEY")}
	}
	o.server.MaxBody, o.server.MaxHeld = int64(o.body*(1<<20)), int64(o.held*(1<<30))
	s, err := serve.New(models.models, o.server)
	if err != nil {
		return err
	}
	if err := s.Warm(ctx); err != nil {
		return err
	}
	handler, sendTraces, err := traced(ctx, s, o.server.Log)
	if err != nil {
		return err
	}
	defer sendTraces()
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16,
		ErrorLog: slog.NewLogLogger(log, slog.LevelWarn),
	}
	server.Protocols = new(http.Protocols) // gRPC needs HTTP/2, also without TLS
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	scheme := "http"
	if o.cert != "" {
		scheme = "https"
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{identity}, MinVersion: tls.VersionTLS12}
	}
	if admin != nil {
		defer serveAdmin(ctx, admin, adminHandler(ctx, s, models))()
		fmt.Fprintf(cmd.OutOrStdout(), "Operators: http://%s\n", admin.Addr())
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Serving on %s://%s\n", scheme, listener.Addr())
	_, err = await(ctx, func() (any, error) {
		if o.cert != "" {
			return nil, server.ServeTLS(listener, "", "")
		}
		return nil, server.Serve(listener)
	})
	if ctx.Err() != nil {
		err = nil // the usual end
	}
	return errors.Join(err, o.stop(ctx, s, server))
}

// stop answers what was admitted, within --drain, and ends the server.
func (o *serveOptions) stop(ctx context.Context, s *serve.Server, server *http.Server) error {
	ctx = context.WithoutCancel(ctx)
	draining, cancel := context.WithTimeout(ctx, o.drain)
	defer cancel()
	err := s.Shutdown(draining)
	closing, free := context.WithTimeout(ctx, 5*time.Second)
	defer free()
	if server.Shutdown(closing) != nil { // connections that say nothing
		_ = server.Close()
	}
	return err
}

// load loads all models. What it returns must be closed, also after an error.
func (o *serveOptions) load(cmd *cobra.Command) (*modelSet, error) {
	set := &modelSet{models: map[string]*diffusioninst.Model{}, load: map[string]func() (*diffusioninst.Model, error){}}
	// Each model has flags of its own, since loading settles what depends on its configuration.
	add := func(name string, flags *modelFlags) error {
		return set.add(name, func() (*diffusioninst.Model, error) { return flags.load(cmd) })
	}
	first := o.model
	if err := add("default", &first); err != nil {
		return set, err
	}
	o.server.Segment = first.options
	for _, text := range o.more {
		name, weights, ok := strings.Cut(text, "=")
		if !ok || name == "" || weights == "" {
			return set, fmt.Errorf("--model %s: want NAME=WEIGHTS", text)
		}
		if set.models[name] != nil {
			return set, fmt.Errorf("--model %s: there is a model of this name already", text)
		}
		other := o.model
		other.weights, other.config = weights, ""
		if err := add(name, &other); err != nil {
			return set, fmt.Errorf("--model %s: %w", name, err)
		}
		if a, b := first.options.Ensemble, other.options.Ensemble; a != nil && *a != *b {
			return set, fmt.Errorf("--consensus with --model %s: it joins steps otherwise than the model of --weights (%+v, %+v); serve them one by one", text, *b, *a)
		}
	}
	return set, nil
}

// readTokens reads a file of tokens, one per line. A line of several words is none: a comment would let its
// words in.
func readTokens(path string) ([]string, error) {
	file, err := regular.OpenStream(path)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(http.MaxBytesReader(nil, file, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("--token-file %s: %w", path, err)
	}
	var tokens []string
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		switch words := strings.Fields(line); {
		case len(words) > 1 || strings.HasPrefix(line, "#"):
			return nil, fmt.Errorf("--token-file %s: line %d has spaces or is a comment: a line is a token and nothing else", path, number)
		case len(words) == 1:
			tokens = append(tokens, words[0])
		}
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("--token-file %s: there is no token in it", path)
	}
	return tokens, nil
}
