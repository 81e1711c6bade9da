package serve

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/diffusioninst/go/diffusioninst"
)

// Options are the settings of a Server. The zero value of a field means its default, and a
// negative one none where that makes sense.
type Options struct {
	// Segment has the settings of requests that do not choose their own, and the limits of
	// each call: MaxBytes and MaxViews. Its Seeds and OnStep must be nil.
	Segment diffusioninst.Options
	// Workers is the number of calls of models at a time: 1. More than one needs as many
	// workers of package torch (torch.SetWorkers), and pays on a GPU only: with models that record graphs
	// (LoadOptions.Graphs), and with replicas on several GPUs, of which each needs one.
	Workers int
	// Batch is the greatest number of pictures that go through a network together: 1. Only
	// pictures of one padded size with the same options do. Their results differ from the results of
	// single pictures by rounding.
	Batch int
	// BatchWait is how long a picture waits for others to share its batch while a worker is
	// free: 5 ms; negative for none.
	BatchWait time.Duration
	// Queue is the number of pictures that may wait besides those that run: 64; negative for
	// none.
	Queue int
	// PerClient is the number of requests of one client that are admitted at a time: half of
	// all, at least 1; negative for no limit of its own.
	PerClient int
	// Client returns the name of the client of a request, for turns and PerClient: the host of
	// RemoteAddr. Behind a proxy it may return what the proxy says.
	Client func(*http.Request) string

	MaxBody   int64 // greatest size of a request's body in bytes: 64 MiB
	MaxPixels int   // greatest width × height of a picture: 100 million
	MaxSide   int   // greatest width and height of a picture: 65535
	// MaxHeld is the most memory in bytes that bodies, pictures and answers of all admitted
	// requests take, by an estimate of 32 bytes per pixel while a picture is decoded and 16
	// afterwards: 1 GiB. What calls of the models take comes on top: at most
	// Segment.MaxBytes for each of Workers.
	MaxHeld int64

	Timeout      time.Duration // of a request from its admission to its result: 60 s; negative for none
	ReadTimeout  time.Duration // of a body: 30 s; negative for none
	WriteTimeout time.Duration // of an answer: 30 s; negative for none

	// LabelStudio makes the server an ML backend of Label Studio; nil for none.
	LabelStudio *LabelStudio

	// Tokens, if there are any, are what requests must present one of, as
	// "Authorization: Bearer TOKEN" or as the password of basic authentication, which Label Studio
	// has; /healthz and /readyz are open. They are compared in constant time.
	Tokens []string
	Log    *slog.Logger // of a line per request; nil for none
}

func (o Options) withDefaults() (Options, error) {
	if o.Segment.OnStep != nil || o.Segment.Seeds != nil {
		return o, errors.New("serve: Options.Segment has OnStep or Seeds: they belong to single calls")
	}
	for name, n := range map[string]int64{
		"Workers": int64(o.Workers), "Batch": int64(o.Batch), "MaxBody": o.MaxBody, "MaxHeld": o.MaxHeld,
		"MaxPixels": int64(o.MaxPixels), "MaxSide": int64(o.MaxSide),
	} {
		if n < 0 {
			return o, fmt.Errorf("serve: Options.%s is %d: a server must have a limit", name, n)
		}
	}
	for name, c := range map[string]struct{ n, most int64 }{
		"Workers": {int64(o.Workers), 1000}, "Batch": {int64(o.Batch), 100_000}, "Queue": {int64(o.Queue), 1 << 40},
		"MaxPixels": {int64(o.MaxPixels), 1 << 50}, "MaxSide": {int64(o.MaxSide), 1 << 31}, "MaxBody": {o.MaxBody, 1 << 50}, "MaxHeld": {o.MaxHeld, 1 << 60},
	} {
		if c.n > c.most {
			return o, fmt.Errorf("serve: Options.%s is %d: the most is %d", name, c.n, c.most)
		}
	}
	for i, token := range o.Tokens {
		if token == "" || strings.ContainsFunc(token, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }) {
			return o, fmt.Errorf("serve: Options.Tokens[%d] is empty, or has spaces or characters that cannot be printed", i)
		}
	}
	o.Workers, o.Batch = cmp.Or(o.Workers, 1), cmp.Or(o.Batch, 1)
	o.BatchWait = max(cmp.Or(o.BatchWait, 5*time.Millisecond), 0)
	o.Queue = max(cmp.Or(o.Queue, 64), 0)
	if places := o.places(); o.PerClient == 0 {
		o.PerClient = max(places/2, 1)
	} else if o.PerClient < 0 {
		o.PerClient = places
	}
	if o.Client == nil {
		o.Client = remoteHost
	}
	o.MaxBody, o.MaxHeld = cmp.Or(o.MaxBody, 64<<20), cmp.Or(o.MaxHeld, 1<<30)
	o.MaxPixels, o.MaxSide = cmp.Or(o.MaxPixels, 100_000_000), cmp.Or(o.MaxSide, 65535)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.ReadTimeout, o.WriteTimeout = cmp.Or(o.ReadTimeout, 30*time.Second), cmp.Or(o.WriteTimeout, 30*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// places is the number of requests that are admitted at a time.
func (o Options) places() int { return o.Workers*o.Batch + o.Queue }

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
