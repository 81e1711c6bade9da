package processes

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"strings"
)

// A Plan says how the processes of a run meet.
type Plan struct {
	Rank, Size           int // this process, from 0, of how many
	LocalRank, LocalSize int // among those on the same machine
	Host                 string
	Port                 int    // where the store is
	Kept                 bool   // by a launcher; otherwise rank 0 opens the store
	Run                  string // keeps runs, such as restarts, that share a store apart
	Source               string // what the plan comes from, such as "torchrun"
}

// Alone reports whether the process has no others to meet.
func (p Plan) Alone() bool { return p.Size <= 1 }

// listens reports whether the process opens the store.
func (p Plan) listens() bool { return p.Rank == 0 && !p.Kept }

// address is where the store is.
func (p Plan) address() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// MostProcesses bounds the size of a Plan.
const MostProcesses = 1 << 14

// defaultPort is PyTorch's.
const defaultPort = 29500

// FromEnvironment reads a plan from environment variables, which lookup returns (os.LookupEnv): from
// torchrun and PyTorchJob (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), Kubeflow's Trainer v2
// (PET_NODE_RANK, PET_NNODES), srun (SLURM_PROCID) or mpirun (OMPI_COMM_WORLD_RANK), in this order.
// Without any, or with a single process, the plan is Alone.
func FromEnvironment(lookup func(string) (string, bool)) (Plan, error) {
	if lookup == nil {
		return Plan{}, errors.New("processes: FromEnvironment needs a function, such as os.LookupEnv")
	}
	e := environment{lookup: lookup}
	var p Plan
	switch {
	case e.has("WORLD_SIZE"):
		p = e.torchrun()
	case e.has("PET_NNODES") && e.has("PET_NODE_RANK"):
		p = e.trainer()
	case e.has("SLURM_PROCID") && e.has("SLURM_STEP_NUM_TASKS"):
		p = e.slurm()
	case e.has("OMPI_COMM_WORLD_SIZE"):
		p = e.openMPI()
	}
	if e.err == nil && p.Source != "" && p.Size != 1 {
		e.err = p.check()
	}
	if e.err != nil {
		return Plan{}, fmt.Errorf("processes: the environment of %s: %w", p.Source, e.err)
	}
	if p.Alone() {
		return Plan{Size: 1, LocalSize: 1, Source: p.Source}, nil
	}
	return p, nil
}

// check refuses a plan that cannot be.
func (p Plan) check() error {
	switch {
	case p.Size < 1 || p.Size > MostProcesses:
		return fmt.Errorf("%d processes: want at most %d", p.Size, MostProcesses)
	case p.Rank < 0 || p.Rank >= p.Size:
		return fmt.Errorf("rank %d of %d processes: ranks are counted from 0", p.Rank, p.Size)
	case p.LocalSize < 1 || p.LocalSize > p.Size || p.LocalRank < 0 || p.LocalRank >= p.LocalSize:
		return fmt.Errorf("local rank %d of %d on this machine, of %d processes in all", p.LocalRank, p.LocalSize, p.Size)
	case p.Host == "" || strings.ContainsAny(p.Host, " \t\r\n/\x00"):
		return fmt.Errorf("the address of rank 0 is %q", p.Host)
	case p.Port < 1 || p.Port > 65535:
		return fmt.Errorf("the port of rank 0 is %d", p.Port)
	}
	return nil
}

// environment reads variables and keeps the first error.
type environment struct {
	lookup func(string) (string, bool)
	err    error
}

// text returns the value of the first variable that is set and not empty.
func (e *environment) text(names ...string) string {
	for _, name := range names {
		if v, ok := e.lookup(name); ok && strings.TrimSpace(v) != "" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (e *environment) has(name string) bool { return e.text(name) != "" }

// number returns a variable's value, or standard if it is not set.
func (e *environment) number(name string, standard int) int {
	text := e.text(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("%s is %q: want a whole number", name, text)
	}
	return int(n)
}

// need is number of a variable that must be set.
func (e *environment) need(name string) int {
	if !e.has(name) && e.err == nil {
		e.err = fmt.Errorf("%s is not set", name)
	}
	return e.number(name, 0)
}

// torchrun reads the variables of torchrun and of PyTorchJob v1, which sets neither LOCAL_RANK nor an agent.
func (e *environment) torchrun() Plan {
	p := Plan{
		Source: "torchrun", Size: e.number("WORLD_SIZE", 0), LocalRank: e.number("LOCAL_RANK", 0), LocalSize: e.number("LOCAL_WORLD_SIZE", 1),
		Host: e.text("MASTER_ADDR"), Port: e.number("MASTER_PORT", defaultPort), Run: e.text("TORCHELASTIC_RESTART_COUNT"),
	}
	if p.Size == 1 {
		return p
	}
	p.Rank = e.need("RANK")
	p.Kept = strings.EqualFold(e.text("TORCHELASTIC_USE_AGENT_STORE"), "true")
	if p.Host == "" && e.err == nil {
		e.err = fmt.Errorf("MASTER_ADDR, the address of rank 0, is not set")
	}
	return p
}

// trainer reads the variables of Kubeflow's Trainer v2, made for a torchrun in each pod. A program that
// is started without one is the only process of its pod.
func (e *environment) trainer() Plan {
	p := Plan{
		Source: "Kubeflow's Trainer", Size: e.number("PET_NNODES", 0), Rank: e.number("PET_NODE_RANK", 0), LocalSize: 1,
		Host: e.text("PET_MASTER_ADDR"), Port: e.number("PET_MASTER_PORT", defaultPort),
	}
	switch each := e.text("PET_NPROC_PER_NODE"); each {
	case "", "1", "auto", "cpu", "gpu":
	default:
		if e.err == nil {
			e.err = fmt.Errorf("PET_NPROC_PER_NODE is %q: this program is one process per pod unless torchrun starts it", each)
		}
	}
	return p
}

// slurm reads srun's variables. Rank 0 is on the first node of the step.
func (e *environment) slurm() Plan {
	p := Plan{
		Source: "srun", Size: e.number("SLURM_STEP_NUM_TASKS", 0), Rank: e.number("SLURM_PROCID", 0), LocalRank: e.number("SLURM_LOCALID", 0),
		Host: e.text("MASTER_ADDR"), Run: e.text("SLURM_STEP_ID"),
	}
	p.LocalSize = e.perNode("SLURM_STEP_TASKS_PER_NODE", e.number("SLURM_NODEID", 0), p.LocalRank+1)
	if p.Host == "" && p.Size > 1 {
		p.Host = e.firstHost("SLURM_STEP_NODELIST")
	}
	p.Port = e.number("MASTER_PORT", portOf(e.number("SLURM_JOB_ID", 0)*31+e.number("SLURM_STEP_ID", 0)))
	return p
}

// openMPI reads mpirun's variables.
func (e *environment) openMPI() Plan {
	p := Plan{
		Source: "mpirun", Size: e.number("OMPI_COMM_WORLD_SIZE", 0), Rank: e.number("OMPI_COMM_WORLD_RANK", 0),
		LocalRank: e.number("OMPI_COMM_WORLD_LOCAL_RANK", 0), LocalSize: e.number("OMPI_COMM_WORLD_LOCAL_SIZE", 1),
		Host: e.text("MASTER_ADDR"),
	}
	name := e.text("OMPI_MCA_ess_base_jobid", "PMIX_NAMESPACE")
	job, err := strconv.ParseUint(name, 10, 32)
	if job >>= 16; err != nil { // of Open MPI 5, such as prterun-host-4711@1
		h := fnv.New32a()
		h.Write([]byte(name))
		job, p.Run = uint64(h.Sum32()), name
	}
	p.Port = e.number("MASTER_PORT", portOf(int(job)))
	switch {
	case p.Host != "":
	case p.LocalSize == p.Size:
		p.Host = "127.0.0.1"
	case e.err == nil && p.Size > 1:
		e.err = fmt.Errorf("MASTER_ADDR, the address of rank 0, is not set: mpirun -x MASTER_ADDR=HOST tells it to all machines")
	}
	return p
}

// portOf makes a port that systems do not hand out by themselves of a number of a job.
func portOf(job int) int { return 20000 + int(uint(job)%12000) }

// perNode returns the number of tasks on a node of a list such as "2(x3),1".
func (e *environment) perNode(name string, node, standard int) int {
	text := e.text(name)
	if text == "" {
		return standard
	}
	for _, group := range strings.Split(text, ",") {
		count, times := group, "1"
		if at := strings.Index(group, "(x"); at >= 0 && strings.HasSuffix(group, ")") {
			count, times = group[:at], group[at+2:len(group)-1]
		}
		n, err := strconv.ParseUint(count, 10, 16)
		k, err2 := strconv.ParseUint(times, 10, 16)
		if err != nil || err2 != nil {
			break
		}
		if node < int(k) {
			return int(n)
		}
		node -= int(k)
	}
	if e.err == nil {
		e.err = fmt.Errorf("%s is %q: want numbers of tasks such as 2(x3),1, one for each node", name, text)
	}
	return standard
}

// firstHost returns the first host of a list such as "gpu[03-07,9],login".
func (e *environment) firstHost(name string) string {
	text := e.text(name)
	open := strings.IndexByte(text, '[')
	comma := strings.IndexByte(text, ',')
	var host string
	switch {
	case open < 0 || comma >= 0 && comma < open:
		host, _, _ = strings.Cut(text, ",")
	default:
		inside, after, ok := strings.Cut(text[open+1:], "]")
		end := strings.IndexAny(inside, "-,")
		if end < 0 {
			end = len(inside)
		}
		after, _, _ = strings.Cut(after, ",")
		if !ok || end == 0 || strings.ContainsAny(after, "[]") {
			break
		}
		host = text[:open] + inside[:end] + after
	}
	if (host == "" || strings.ContainsAny(host, "[]")) && e.err == nil {
		e.err = fmt.Errorf("%s is %q: want a list of hosts such as node[01-03], or set MASTER_ADDR", name, text)
	}
	return host
}
