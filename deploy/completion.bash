# Completion of lockstep for bash: the program itself prints the script.
source <(lockstep completion bash)
