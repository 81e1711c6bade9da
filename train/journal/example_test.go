package journal_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/diffusioninst/go/train/journal"
)

func Example() {
	folder, err := os.MkdirTemp("", "run")
	check(err)
	defer os.RemoveAll(folder)

	// A run that is killed in step 3 …
	j, err := journal.Open(folder, 0, "train", "evaluation")
	check(err)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for step := range 3 {
		check(j.Add("train", step, at.Add(time.Duration(step)*time.Second), []journal.Scalar{{"loss", 8 / float64(step+1)}, {"rate", 1e-4}}))
	}
	check(j.Close())

	// … and goes on from the checkpoint made after step 1.
	j, err = journal.Open(folder, 2, "train", "evaluation")
	check(err)
	check(j.Add("train", 2, at.Add(time.Minute), []journal.Scalar{{"loss", 2.5}, {"rate", 1e-4}}))
	check(j.Add("evaluation", 2, at.Add(time.Minute), []journal.Scalar{{"AP", 0.1}}))
	check(j.Close())

	text, err := os.ReadFile(filepath.Join(folder, "train.csv"))
	check(err)
	fmt.Print(string(text))
	series, err := journal.Read(filepath.Join(folder, "evaluation.csv"))
	check(err)
	for _, s := range series {
		fmt.Println(s.Name, s.Points[0].Step, s.Points[0].Value)
	}
	// Output:
	// step,time,loss,rate
	// 0,2026-11-22T12:00:00.000Z,8,0.0001
	// 1,2026-11-22T12:00:01.000Z,4,0.0001
	// 2,2026-11-22T12:01:00.000Z,2.5,0.0001
	// AP 2 0.1
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
