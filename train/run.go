package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/train/data"
	"github.com/diffusioninst/go/train/journal"
)

// Files in the folder of a run, beside the journal's.
const (
	// LastCheckpoint is the state that Run.Resume continues from.
	LastCheckpoint = "last.safetensors"
	// BestCheckpoint is the state of the best evaluation so far.
	BestCheckpoint = "best.safetensors"
	// FailedCheckpoint is the state before a step whose losses were not finite.
	FailedCheckpoint = "failed.safetensors"
	// ModelFile, and the same with the ending .pth, is the model when the run is over.
	ModelFile = "model.safetensors"
)

// A Run is a training run in a folder, which rank 0 of several processes writes. It can be stopped at any moment, by kill -9 too,
// and continued: what was lost since the last checkpoint is computed again, bit-identically
// on the CPU with the same number of threads.
type Run struct {
	Trainer *Trainer
	Batches Batches
	Folder  string // made if it does not exist
	Steps   int    // of the whole run
	Parts   int    // batches that make a step together: 1
	// Resume is the file in Folder to continue from, such as LastCheckpoint. Empty starts
	// anew, which a folder that has a last checkpoint refuses with ErrRunExists.
	Resume string
	// Data describes what Batches are made of. A run that had another description is not resumed.
	Data string
	// Settings are what else the run depends on, by name, such as Recipe.Settings. A run that is resumed with other values
	// goes on, and says so by OnChange, in sentences such as "SOLVER.BASE_LR was 0.0002 and is 0.0001", or else by the default
	// logger of log/slog. Names that only one of both has are not compared.
	Settings map[string]string
	OnChange func(changes []string)

	SaveEvery     int // steps between checkpoints: 500; negative saves at the end alone
	EvaluateEvery int // steps between evaluations; 0 evaluates at the end alone
	// Evaluate measures a model on pictures that are not trained on; it may be nil. Of several
	// processes all call it at the same step, and rank 0's metrics count.
	Evaluate func(ctx context.Context, m *diffusioninst.Model) ([]journal.Scalar, error)
	Best     string // the metric of Evaluate that the best checkpoint has the most of

	OnStep       func(Progress)                                 // after every step; may be nil
	OnEvaluation func(step int, metrics []journal.Scalar) error // after every evaluation; may be nil
}

// Batches gives a run what it learns from, batch by batch; see data.Loader.
type Batches interface {
	Next(ctx context.Context) ([]data.Sample, error)
	// Position is the number of batches handed out.
	Position() int64
	// SeekTo makes Next return what follows the first n batches.
	SeekTo(n int64) error
}

// Progress is the state of a run after a step.
type Progress struct {
	*Report
	Steps    int           // of the whole run
	Pictures int           // of this step
	Took     time.Duration // this step, with the wait for its pictures
	Waited   time.Duration // for the pictures
}

// ErrRunExists says that a folder holds a run already.
var ErrRunExists = errors.New("there is a run in this folder already: resume it, or choose another folder")

// Do trains until all steps are done or ctx is cancelled; it then saves, and returns the
// error of ctx. A *nn.NotFiniteError leaves a FailedCheckpoint, from which a run fails in
// the same way again. An *OutOfMemoryError, as others, leaves the LastCheckpoint
// as it is.
func (r *Run) Do(ctx context.Context) error {
	if r == nil {
		return errors.New("train: the Run is nil")
	}
	if err := r.Trainer.made(); err != nil {
		return err
	}
	if r.Steps < 1 || r.Parts < 0 || r.EvaluateEvery < 0 {
		return fmt.Errorf("train: a run of %d steps of %d parts, evaluated every %d", r.Steps, r.Parts, r.EvaluateEvery)
	}
	if r.Best != "" && r.Evaluate == nil {
		return fmt.Errorf("train: a run without Evaluate, which has no best %s", r.Best)
	}
	state, err := r.begin(ctx)
	if err != nil {
		return err
	}
	if !r.Trainer.first() { // nothing to write, and the same steps
		if err := r.Trainer.agree(ctx, nil); err != nil {
			return err
		}
		return r.loop(ctx, nil, state)
	}
	// Steps are counted from 1 in the journal. An evaluation that is due writes with the last step.
	next := r.Trainer.steps + 1
	if r.due(state) {
		next--
	}
	log, err := journal.Open(r.Folder, next, "train", "evaluation")
	if err == nil && r.due(state) {
		err = log.Add("train", next, state.At, state.Row)
	}
	if err = r.Trainer.agree(ctx, err); err == nil {
		err = r.loop(ctx, log, state)
	}
	if log == nil {
		return err
	}
	return errors.Join(err, log.Close())
}

// begin puts the trainer and the batches where the run begins.
func (r *Run) begin(ctx context.Context) (*runState, error) {
	var err error
	if r.Trainer.first() {
		err = os.MkdirAll(r.Folder, 0o777)
		if _, none := os.Stat(r.path(LastCheckpoint)); err == nil && none == nil && r.Resume == "" {
			err = fmt.Errorf("train: %s: %w", r.Folder, ErrRunExists)
		}
	}
	if err := r.Trainer.agree(ctx, err); err != nil {
		return nil, err
	}
	about, err := r.description()
	if err = r.Trainer.agree(ctx, err); err == nil {
		err = r.Trainer.alike(ctx, about)
	}
	if err != nil {
		return nil, err
	}
	if r.Resume != "" {
		return r.resume(ctx)
	}
	return &runState{Data: r.Data, Settings: r.Settings}, nil
}

func (r *Run) loop(ctx context.Context, log *journal.Journal, state *runState) error {
	saved := r.Trainer.steps
	for {
		done := r.Trainer.steps
		if r.due(state) {
			best, err := r.evaluate(ctx, log, state)
			if err == nil && best {
				err = r.save(log, state, BestCheckpoint)
			}
			if err = r.Trainer.agree(ctx, err); err != nil {
				return r.stop(ctx, log, state, err)
			}
		}
		if done > saved && (done == r.Steps || r.SaveEvery >= 0 && done%cmp.Or(r.SaveEvery, 500) == 0) {
			if err := r.Trainer.agree(ctx, r.save(log, state, LastCheckpoint)); err != nil {
				return err
			}
			if err := r.Trainer.sameParameters(ctx); err != nil {
				return err
			}
			saved = done
		}
		if done >= r.Steps {
			return r.Trainer.agree(ctx, r.export(ctx))
		}
		if err := r.step(ctx, log, state); err != nil {
			return r.stop(ctx, log, state, err)
		}
	}
}

// due reports whether the model is to be evaluated as it is.
func (r *Run) due(state *runState) bool {
	done := r.Trainer.steps
	if r.Evaluate == nil || done == 0 || done == state.Evaluated {
		return false
	}
	return done >= r.Steps || r.EvaluateEvery > 0 && done%r.EvaluateEvery == 0
}

// step makes one step. It is not interrupted, since that would leave a state between steps.
func (r *Run) step(ctx context.Context, log *journal.Journal, state *runState) error {
	begin := time.Now()
	var parts [][]data.Sample
	var own error
	for range max(r.Parts, 1) {
		part, err := r.Batches.Next(ctx)
		if err != nil && r.Trainer.peers == nil {
			return err
		}
		own = cmp.Or(own, err)
		parts = append(parts, part)
	}
	if r.Trainer.peers != nil {
		own = cmp.Or(own, ctx.Err()) // all stop before the same step
	}
	waited := time.Since(begin)
	before, err := r.Trainer.drawsState()
	if err != nil {
		return err
	}
	if own == nil {
		own = r.Trainer.checkParts(parts)
	}
	report, err := r.Trainer.step(context.WithoutCancel(ctx), own, parts...)
	if lost := (*nn.NotFiniteError)(nil); errors.As(err, &lost) {
		return errors.Join(err, r.saveFailed(log, state, before))
	}
	if err != nil {
		return err
	}
	state.Position = r.Batches.Position()
	state.At, state.Row = time.Now(), report.scalars()
	if log == nil {
		return nil
	}
	if err := log.Add("train", r.Trainer.steps, state.At, state.Row); err != nil {
		return err
	}
	if r.OnStep != nil {
		r.OnStep(Progress{Report: report, Steps: r.Steps, Pictures: report.Pictures, Took: time.Since(begin), Waited: waited})
	}
	return nil
}

// evaluate measures the model and reports whether it is the best so far.
func (r *Run) evaluate(ctx context.Context, log *journal.Journal, state *runState) (best bool, err error) {
	model, err := r.Trainer.Snapshot(ctx)
	if err != nil {
		return false, err
	}
	defer model.Close()
	metrics, err := r.Evaluate(ctx, model)
	if err != nil {
		return false, err
	}
	if log == nil {
		state.Evaluated = r.Trainer.steps
		return false, nil
	}
	if err := log.Add("evaluation", r.Trainer.steps, time.Now(), metrics); err != nil {
		return false, err
	}
	state.Evaluated = r.Trainer.steps
	for _, m := range metrics {
		if m.Name == r.Best && finite(m.Value) && (state.Metric != r.Best || m.Value > state.Best) {
			best, state.Metric, state.Best = true, r.Best, m.Value
		}
	}
	if r.OnEvaluation != nil {
		return best, r.OnEvaluation(r.Trainer.steps, metrics)
	}
	return best, nil
}

// stop saves where the run was cancelled; other errors leave the last checkpoint as it is.
func (r *Run) stop(ctx context.Context, log *journal.Journal, state *runState, err error) error {
	if r.Trainer.peers != nil && !errors.Is(err, context.Canceled) || ctx.Err() == nil && r.Trainer.peers == nil {
		return err // another process that is lost, too: the step may have been begun
	}
	return errors.Join(cmp.Or(ctx.Err(), context.Canceled), r.save(log, state, LastCheckpoint))
}
