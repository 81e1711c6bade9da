package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
)

// The streams, and the beginnings of their subjects.
const (
	pictures, picturesPrefix = "PICTURES", "pictures."
	results, resultsPrefix   = "FOUND", "found."
)

// once is how long a result is known, so that the one of a picture that was segmented again is not stored twice.
// It is longer than a worker can take between storing a result and acknowledging its picture.
const once = 10 * time.Minute

// A worker segments one picture after the other. Others may share its stream.
type worker struct {
	js       jetstream.JetStream
	consumer jetstream.Consumer
	model    *diffusioninst.Model
	classes  []coco.Category
	wait     time.Duration // after which a worker that is silent is taken for lost
}

// A found is the message about a picture: what was found, or why nothing could be.
type found struct {
	Sequence uint64        `json:"sequence"` // of the picture in its stream
	Results  []coco.Result `json:"results"`  // image_id is the sequence, too
	Error    string        `json:"error,omitempty"`
}

// newWorker makes the streams and the consumer that all workers share, unless they are there. A picture is kept until
// it is acknowledged.
func newWorker(ctx context.Context, connection *nats.Conn, model *diffusioninst.Model, wait time.Duration) (*worker, error) {
	js, err := jetstream.New(connection)
	if err != nil {
		return nil, err
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: pictures, Subjects: []string{picturesPrefix + ">"}, Retention: jetstream.WorkQueuePolicy},
		{Name: results, Subjects: []string{resultsPrefix + ">"}, Duplicates: once},
	} {
		if _, err := js.CreateOrUpdateStream(ctx, s); err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, pictures, jetstream.ConsumerConfig{Durable: "segment", AckPolicy: jetstream.AckExplicitPolicy, AckWait: wait})
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	return &worker{js, consumer, model, evaluation.Categories(model.Config().Classes), wait}, nil
}

// work segments pictures until ctx is done. One that is being segmented then is left to another worker.
func (w *worker) work(ctx context.Context) error {
	for ctx.Err() == nil {
		m, err := w.consumer.Next(jetstream.FetchMaxWait(time.Second))
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			return err
		}
		if err := w.busy(m, func() error { return w.segment(ctx, m) }); err != nil {
			return err
		}
		if err := m.DoubleAck(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// busy calls f, and tells the server meanwhile that the picture is being worked on, however long that takes.
func (w *worker) busy(m jetstream.Msg, f func() error) error {
	over := make(chan struct{})
	defer close(over)
	go func() {
		tick := time.NewTicker(w.wait / 3)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				_ = m.InProgress()
			}
		}
	}()
	return f()
}

// segment stores the result of a picture. A picture that is broken, or too large, has one that says so, as has one whose result is
// larger than the server takes: it would be so for each worker.
func (w *worker) segment(ctx context.Context, m jetstream.Msg) error {
	about, err := m.Metadata()
	if err != nil {
		return err
	}
	out := found{Sequence: about.Sequence.Stream, Results: []coco.Result{}}
	if img, err := picture.Decode(bytes.NewReader(m.Data()), picture.Options{}); err != nil {
		out.Error = err.Error()
	} else {
		defer img.Close()
		r, err := w.model.Segment(ctx, img, diffusioninst.Options{})
		if limit, ok := errors.AsType[*diffusioninst.LimitError](err); ok {
			out.Error = limit.Error()
		} else if err != nil {
			return err
		} else {
			out.Results = evaluation.LabeledImage(r, int64(out.Sequence), m.Subject(), w.classes).Results()
		}
	}
	subject := resultsPrefix + strings.TrimPrefix(m.Subject(), picturesPrefix)
	err = w.store(ctx, subject, out)
	if errors.Is(err, nats.ErrMaxPayload) {
		out.Error = fmt.Sprintf("the results of %d instances are larger than the server's max_payload", len(out.Results))
		out.Results = []coco.Result{}
		err = w.store(ctx, subject, out)
	}
	return err
}

func (w *worker) store(ctx context.Context, subject string, out found) error {
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = w.js.Publish(ctx, subject, text, jetstream.WithMsgID(fmt.Sprint(out.Sequence)))
	return err
}
