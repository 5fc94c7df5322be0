// Package rollback keeps the journal of runs and brings a host back, or forward, from wherever a run ended.
package rollback
