//go:build cgo

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/torch/processes"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
	"github.com/diffusioninst/go/train/journal"
)

func runTrain(cmd *cobra.Command, o *trainOptions) (err error) {
	ctx, warn := cmd.Context(), warner(cmd)
	own := cmd.ErrOrStderr() // for what this process alone sees
	if err := o.check(); err != nil {
		return err
	}
	if o.processes > 0 && os.Getenv(launched) == "" {
		return startProcesses(cmd, o.processes, o.processesTimeout)
	}
	group, err := joinProcesses(cmd, o.processesTimeout)
	if err != nil {
		return err
	}
	here, deviceName := 1, o.device // here: processes on the same cores
	begun := false                  // the run, in which an error of one process is that of all
	if group != nil {
		defer func() {
			if err != nil && !begun {
				group.Fail(err)
			}
			group.Close()
		}()
		deviceName = rankDevice(o.device, group.Plan().LocalRank, torch.CUDADevices())
		if here, err = sharers(ctx, group); err != nil {
			return err
		}
		warn = warner(cmd)
		if group.Rank() > 0 {
			own = rankWriter{own, group.Rank()}
		}
	}
	switch {
	case o.threads > 0:
		torch.SetThreads(o.threads)
	case here > 1:
		torch.ShareCores(here)
	}
	device, err := torch.ParseDevice(deviceName)
	if err == nil {
		err = allowTF32(o.tf32, device)
	}
	if err != nil {
		return err
	}
	if group == nil || group.Rank() == 0 {
		locks, err := lockOutputs(o.out)
		if err != nil {
			return err
		}
		defer locks.Close()
	}
	if o.resume == resumeAuto {
		if o.resume, err = lastOf(ctx, group, o.out); err != nil {
			return err
		}
	}
	var notes pictureNotes
	remark := func(path string, p *picture.Picture) { notes.printFirst(own, filepath.Base(path), p) }
	plan, err := o.plan(ctx, warn, warnerTo(own), remark)
	if err != nil {
		return err
	}
	if plan.recipe.Options.Precision == torch.BFloat16 && slowInBFloat16(device) {
		warn("bfloat16: this processor has no AMX, without which it is no faster than float32")
	}
	if group != nil {
		if err := sameData(ctx, group, plan.set); err != nil {
			return err
		}
		plan.recipe.Options.Processes = group
		plan.loader.Rank, plan.loader.Ranks = group.Rank(), group.Size()
		plan.loader.Workers = max(1, cmp.Or(plan.loader.Workers, runtime.GOMAXPROCS(0)*3/4)/here)
	}
	torch.BenchmarkCuDNN(plan.recipe.CuDNNBenchmark)
	loader, err := data.NewLoader(plan.data, plan.loader)
	if err != nil {
		return err
	}
	defer loader.Close()
	source, done, err := o.start(ctx, plan, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer done()
	trainer, err := train.New(ctx, plan.config, source, device, plan.recipe.Options)
	if err != nil {
		return err
	}
	defer trainer.Close()
	var line *trainProgress
	run := &train.Run{
		Trainer: trainer, Batches: loader, Folder: o.out, Steps: plan.recipe.Steps, Parts: o.accumulate, Resume: o.resume, Data: plan.String(),
		Settings: plan.settings(),
		OnChange: func(changes []string) {
			warn("the run goes on, but with other settings than before: %s. For a run of its own, start one with --weights %s and another --out", strings.Join(changes, "; "), filepath.Join(o.out, o.resume))
		},
		SaveEvery: plan.recipe.SaveEvery, EvaluateEvery: plan.recipe.EvaluateEvery,
		OnStep: func(p train.Progress) {
			if line == nil {
				line = newTrainProgress(cmd.ErrOrStderr(), p.Step, p.Steps, 20)
			}
			line.step(p.Step+1, p.Pictures, p.Total, p.Rate, p.Took, p.Waited)
		},
	}
	if o.val != "" {
		set, err := o.evaluated(ctx, plan, warn, remark)
		if err != nil {
			return err
		}
		run.Settings["--val"] = picturesSum(set)
		run.Evaluate = o.evaluation(plan, group, set)
		run.Best = metricName("AP", o.evalSteps, 0)
	}
	run.OnEvaluation = func(step int, metrics []journal.Scalar) error {
		var text strings.Builder
		for _, m := range metrics {
			fmt.Fprintf(&text, "  %s %.2f", m.Name, 100*m.Value)
		}
		if line != nil {
			line.evaluated(metrics[0].Value)
			line.clear()
		}
		fmt.Fprintf(cmd.OutOrStdout(), "step %d%s\n", step, text.String())
		return plotRun(o.out)
	}
	begun = true
	err = run.Do(ctx)
	if line != nil {
		line.clear()
	}
	if group != nil && group.Rank() > 0 {
		return err // the files are rank 0's
	}
	if errors.Is(err, context.Canceled) {
		if _, none := os.Stat(filepath.Join(o.out, train.LastCheckpoint)); none != nil {
			return stopped(err, "stopped before the first step")
		}
		return errors.Join(stopped(err, "stopped and saved to %s: the same command with --resume continues the run", o.out), plotRun(o.out))
	}
	if err != nil {
		return err
	}
	return plotRun(o.out)
}

// evaluated opens the data set of --val.
func (o *trainOptions) evaluated(ctx context.Context, plan *trainPlan, warn func(string, ...any), remark func(string, *picture.Picture)) (*evaluation.Set, error) {
	annotations := o.options(picturesOf(cmp.Or(o.valImages, o.images), o.val), true, warn)
	annotations.Split = "val"
	set, err := openSet(ctx, o.val, annotations)
	if err != nil {
		return nil, o.explain(err)
	}
	if err := set.Match(plan.config.Classes, warn); err != nil {
		return nil, err
	}
	if set.Pictures, err = o.pictures.one(); err != nil {
		return nil, err
	}
	set.Pictures.Normalize = cmp.Or(plan.config.Input.Normalize, picture.Auto)
	set.Remark = func(m evaluation.Image, p *picture.Picture) { remark(m.Path, p) }
	return set, nil
}

// evaluation returns a function that measures a model on a data set: the average precisions of masks with each number of
// denoising steps.
func (o *trainOptions) evaluation(plan *trainPlan, group *processes.Group, set *evaluation.Set) func(context.Context, *diffusioninst.Model) ([]journal.Scalar, error) {
	if len(o.evalSteps) == 0 {
		o.evalSteps = []int{0} // the model's own
	}
	most := plan.recipe.Detections
	return func(ctx context.Context, m *diffusioninst.Model) ([]journal.Scalar, error) {
		var out []journal.Scalar
		for i, steps := range o.evalSteps {
			options := diffusioninst.Options{Steps: steps, Score: 0.05, Limit: most, Normalize: picture.None}
			results, ids, err := spread(ctx, group, set, func(part *evaluation.Set) ([]coco.Result, error) {
				results, _, err := part.Run(ctx, m.Segment, options, func() {})
				return results, err
			})
			if err != nil {
				return nil, err
			}
			if group != nil && group.Rank() > 0 {
				continue // rank 0 has all results
			}
			report, err := coco.Evaluate(ctx, set.Data, results, coco.Options{Images: ids, MaxDets: []int{1, min(10, most), most}})
			if err != nil {
				return nil, err
			}
			for _, name := range []string{"AP", "AP50", "AP75"} {
				v, _ := report.Metric(name)
				out = append(out, journal.Scalar{Name: metricName(name, o.evalSteps, i), Value: v})
			}
		}
		return out, nil
	}
}

// metricName returns the name of a metric for the i-th number of denoising steps, which is
// part of all names but the first number's.
func metricName(metric string, steps []int, i int) string {
	if i == 0 {
		return metric
	}
	return fmt.Sprintf("%s_%d_steps", metric, steps[i])
}
