// Package journal writes down how a run goes: losses, rates and metrics over steps, for
// spreadsheets and scripts as CSV and for TensorBoard as event files.
//
// A Journal lives in a folder. It has named tables, such as train and evaluation, and a
// table is a CSV file with one line a step: the step, the time and a column for each
// scalar. What is measured only every so often belongs into a table of its own, so that
// no table has many empty cells. The same scalars go into an event file of the folder,
// under tags like train/loss_ce:
//
//	tensorboard --logdir folder
//
// A line is in the hands of the operating system when Add returns, so that killing
// the program loses none; Sync makes it survive a power failure, too.
//
// A run that was killed and goes on from its last checkpoint opens the journal at the
// checkpoint's step. What was written beyond goes away, in the CSV files and in what
// TensorBoard shows: both have one curve, without a fork.
package journal
