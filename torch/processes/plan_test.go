package processes

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func from(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func TestPlans(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		want Plan
	}{
		"nothing":     {nil, Plan{Size: 1, LocalSize: 1}},
		"empty":       {map[string]string{"WORLD_SIZE": " "}, Plan{Size: 1, LocalSize: 1}},
		"one":         {map[string]string{"WORLD_SIZE": "1"}, Plan{Size: 1, LocalSize: 1, Source: "torchrun"}},
		"one of srun": {map[string]string{"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, Plan{Size: 1, LocalSize: 1, Source: "srun"}},
		"torchrun, whose agent keeps the store": {
			map[string]string{"WORLD_SIZE": "4", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a.example", "MASTER_PORT": "1234", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "3"},
			Plan{Size: 4, LocalSize: 2, Host: "a.example", Port: 1234, Run: "3", Kept: true, Source: "torchrun"},
		},
		"torchrun, whose agent does not": {
			map[string]string{"WORLD_SIZE": "4", "RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "::1", "TORCHELASTIC_USE_AGENT_STORE": "False"},
			Plan{Size: 4, LocalSize: 2, Host: "::1", Port: 29500, Source: "torchrun"},
		},
		"PyTorchJob, also under Slurm": {
			map[string]string{"WORLD_SIZE": "3", "RANK": "2", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
			Plan{Rank: 2, Size: 3, LocalSize: 1, Host: "job-master-0", Port: 23456, Source: "torchrun"},
		},
		"Trainer v2": {
			map[string]string{"PET_NNODES": "2", "PET_NODE_RANK": "1", "PET_NPROC_PER_NODE": "auto", "PET_MASTER_ADDR": "h", "PET_MASTER_PORT": "29400"},
			Plan{Rank: 1, Size: 2, LocalSize: 1, Host: "h", Port: 29400, Source: "Kubeflow's Trainer"},
		},
		"srun": {
			map[string]string{"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "5", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_STEP_TASKS_PER_NODE": "2(x2),1", "SLURM_STEP_NODELIST": "gpu[03-05]", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "2"},
			Plan{Rank: 3, Size: 5, LocalRank: 1, LocalSize: 2, Host: "gpu03", Port: 20000 + 77*31 + 2, Run: "2", Source: "srun"},
		},
		"mpirun on one machine": {
			map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_MCA_ess_base_jobid": "65536"},
			Plan{Rank: 1, Size: 2, LocalRank: 1, LocalSize: 2, Host: "127.0.0.1", Port: 20001, Source: "mpirun"},
		},
		"mpirun of Open MPI 5": {
			map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "PMIX_NAMESPACE": "prterun-host-4711@1"},
			Plan{Rank: 1, Size: 2, LocalRank: 1, LocalSize: 2, Host: "127.0.0.1", Port: 28465, Run: "prterun-host-4711@1", Source: "mpirun"},
		},
	} {
		got, err := FromEnvironment(from(c.vars))
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestHostilePlans(t *testing.T) {
	good := map[string]string{"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "h", "MASTER_PORT": "1"}
	slurm := map[string]string{"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "h", "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_NODEID": "1"}
	mpi := map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}
	for _, c := range []struct {
		base       map[string]string
		name       string
		value, err string
	}{
		{good, "WORLD_SIZE", "0", "0 processes"}, {good, "WORLD_SIZE", "-2", "-2 processes"}, {good, "WORLD_SIZE", "many", `WORLD_SIZE is "many"`},
		{good, "WORLD_SIZE", "99999999999999999999", "whole number"}, {good, "WORLD_SIZE", "20000", "at most"},
		{good, "RANK", "", "RANK is not set"}, {good, "RANK", "2", "rank 2 of 2"}, {good, "RANK", "-1", "rank -1"}, {good, "RANK", "0x1", "whole number"},
		{good, "LOCAL_RANK", "1", "local rank 1 of 1"}, {good, "LOCAL_WORLD_SIZE", "3", "of 3 on this machine"}, {good, "LOCAL_WORLD_SIZE", "0", "of 0 on this machine"},
		{good, "MASTER_ADDR", "", "MASTER_ADDR"}, {good, "MASTER_ADDR", "a b", `"a b"`}, {good, "MASTER_ADDR", "a\x00b", "address of rank 0"},
		{good, "MASTER_PORT", "0", "port of rank 0 is 0"}, {good, "MASTER_PORT", "65536", "65536"}, {good, "MASTER_PORT", "http", "whole number"},
		{slurm, "SLURM_STEP_NODELIST", "", "MASTER_ADDR"}, {slurm, "SLURM_STEP_NODELIST", "a[01", "list of hosts"}, {slurm, "SLURM_STEP_NODELIST", "a[]", "list of hosts"},
		{slurm, "SLURM_STEP_NODELIST", "a]", "list of hosts"}, {slurm, "SLURM_STEP_NODELIST", "a[1][2]", "list of hosts"},
		{slurm, "SLURM_STEP_TASKS_PER_NODE", "1", "one for each node"}, {slurm, "SLURM_STEP_TASKS_PER_NODE", "1(x", "numbers of tasks"}, {slurm, "SLURM_STEP_TASKS_PER_NODE", "x", "numbers of tasks"},
		{slurm, "SLURM_PROCID", "2", "rank 2 of 2"},
		{mpi, "OMPI_COMM_WORLD_RANK", "7", "rank 7 of 2"}, {mpi, "OMPI_COMM_WORLD_LOCAL_SIZE", "1", "mpirun -x MASTER_ADDR"},
	} {
		vars := map[string]string{c.name: c.value}
		for k, v := range c.base {
			if k != c.name {
				vars[k] = v
			}
		}
		_, err := FromEnvironment(from(vars))
		require.ErrorContains(t, err, c.err, "%s=%q", c.name, c.value)
	}
}

func TestFirstHosts(t *testing.T) {
	for list, want := range map[string]string{"a": "a", "a,b": "a", "a[1-3]": "a1", "a[007]": "a007", "a[2,4-5],b": "a2", "b,a[1-2]": "b", "n[1-2].x,c": "n1.x"} {
		e := environment{lookup: from(map[string]string{"L": list})}
		require.Equal(t, want, e.firstHost("L"), list)
		require.NoError(t, e.err)
	}
}
