#!/usr/bin/env bash
# Sourced by what runs PyTorch beside lockstep: `python`, the Python with the packages of opponents.txt, and the
# environment of both sides: one thread a rank, no binding to cores, loopback.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${OPPONENTS_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/lockstep-opponents}
python=${OPPONENTS_PYTHON:-$venv/bin/python}
[ -x "$python" ] || {
  echo "compare.sh: $python is not there; make it so:" >&2
  echo "  python3 -m venv '$venv' && '$venv/bin/pip' install -r '$here/opponents.txt'" >&2
  exit 2
}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none
export CUDA_VISIBLE_DEVICES='' GLOO_SOCKET_IFNAME=lo TORCH_CPP_LOG_LEVEL=ERROR
