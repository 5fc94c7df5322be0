package wire

import (
	"io/fs"
	"time"
)

// Where the host puts things in the guest's initramfs, and the name of the port that the frames come out of.
const (
	JobFile = "/.lab/job.json" // the Job
	JobRoot = "/.lab/root"     // for a system job: files to copy over the system's root before the job starts
	Modules = "/.lab/modules"  // one module file a line, to be loaded in this order
	Port    = "lab"            // the virtio-serial port's name
)

// Heartbeat is how often a guest says that it is alive.
const Heartbeat = time.Second

// A Job is one command to run in the guest.
type Job struct {
	Args []string // Args[0] is a path, or a name to look up in the guest's PATH
	Dir  string   // working directory, made if it is missing
	Env  []string // the whole environment

	// System asks for the Debian system on the first virtio disk instead of the initramfs alone.
	System bool

	// Disk is where the second virtio disk is mounted in the Debian system; empty if there is none.
	Disk string

	// Shell gives the job the guest's serial console as its terminal instead of sending its output as frames.
	Shell bool

	// MergeOutput gives the job one pipe for both outputs, as when the host's are one file: only then does their order survive.
	MergeOutput bool

	// Timeout ends the job from inside the guest, first with SIGQUIT, which makes a Go program print its goroutines. 0 is none.
	Timeout time.Duration

	// MakeDirs are created before the job starts.
	MakeDirs []string

	// Return are files and directories; whatever the job creates or changes there is sent back.
	Return []string
}

// A FileHeader announces a file that the job created or changed.
type FileHeader struct {
	Path string
	Mode fs.FileMode
}

// A Result says how the job ended.
type Result struct {
	Code     int    // exit code; 128 + signal for a job that was killed
	TimedOut bool   // the guest ended the job at Job.Timeout
	Error    string // why the job could not be run at all; empty if it ran
}
