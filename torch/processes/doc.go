// Package processes lets several processes, on one machine or many, compute one thing together, over
// LibTorch's c10d: what PyTorch's DistributedDataParallel stands on. [FromEnvironment] reads what torchrun,
// Kubeflow, srun or mpirun say, and [Join] meets the others. Messages go over gloo and through
// the CPU's memory.
//
// It needs gloo's headers when the program is built (Debian: libgloo-dev); without them Join says so.
package processes
